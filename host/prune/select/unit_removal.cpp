// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/prune/removal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "io/suggest.hpp"
#include "prune/compact/channels.hpp"
#include "prune/select/units.hpp"

namespace hso {

using namespace detail;

namespace {

struct Candidate {
  const Unit* unit;
  std::size_t group;
  double cost = 0;
};

bool alive(const Unit& unit, const Mask& mask) {
  const auto any = [&](const std::vector<Index>& part) {
    return std::any_of(part.begin(), part.end(), [&](Index j) { return mask.kept[static_cast<std::size_t>(j)] != 0; });
  };
  // Rows have no readers and columns no makers.
  return (unit.incoming.empty() || any(unit.incoming)) && (unit.outgoing.empty() || any(unit.outgoing));
}

Index first_of(const Unit& unit) { return unit.incoming.empty() ? unit.outgoing.front() : unit.incoming.front(); }

/// The rows or columns of every weight.
std::vector<UnitGroup> lines_of(const ModelSpec& model, bool rows) {
  std::vector<UnitGroup> out;
  for (const ParameterInfo& p : build_network<double>(model, LossKind::squared_error).parameters) {
    if (p.is_bias || p.shape.rank() < 2) continue;
    UnitGroup group{{p.layer}, {}};
    Index index = 0;
    for (std::vector<Index>& line : rows ? weight_rows(p) : weight_columns(p)) {
      Unit unit{p.layer, index++, {}, {}};
      (rows ? unit.incoming : unit.outgoing) = std::move(line);
      group.units.push_back(std::move(unit));
    }
    if (group.units.size() > 1) out.push_back(std::move(group));
  }
  return out;
}

std::vector<UnitGroup> groups_of(const ModelSpec& model, Granularity granularity) {
  if (granularity == Granularity::weights)
    throw UsageError("remove_units: granularity weights, expected units, rows or columns");
  return granularity == Granularity::units ? prunable_units(model) : lines_of(model, granularity == Granularity::rows);
}

/// Units go one at a time until the target is reached.
template <class T>
class UnitStage {
 public:
  UnitStage(Stage<T>& stage, const ModelSpec& model, const UnitTarget& target, Granularity granularity)
      : stage_(stage),
        model_(model),
        target_(target),
        groups_(groups_of(model, granularity)),
        uses_(weight_uses(model)),
        all_work_(std::accumulate(uses_.begin(), uses_.end(), Index{0})),
        left_(groups_.size(), 0) {
    const std::vector<std::uint8_t> ever = removable_parameters(stage.layout, stage.rule);
    out_.mask = stage.mask;
    left_work_ = multiply_adds(model, stage.mask);
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (const Unit& unit : groups_[g].units) {
        if (!alive(unit, out_.mask)) continue;
        ++left_[g];
        if (ever[static_cast<std::size_t>(first_of(unit))] != 0) candidates_.push_back({&unit, g});
      }
    if (candidates_.empty() && !reached())
      throw UsageError(fmt::format("units: {} has no neuron or channel that can be removed", model.name));
  }

  Removed run() {
    costs_ = reached() ? nullptr : unit_costs(stage_, groups_);
    if (costs_) price(candidates_);
    while (!reached()) {
      const auto next = cheapest();
      if (next == candidates_.end()) {
        out_.notes.push_back(why_none_is_left());
        break;
      }
      take(next);
    }
    if (std::string note = costs_ ? costs_->note() : ""; !note.empty()) out_.notes.push_back(std::move(note));
    out_.theta = costs_ ? costs_->theta() : std::vector<double>(stage_.theta.begin(), stage_.theta.end());
    for (std::size_t j = 0; j < out_.theta.size(); ++j)
      if (out_.mask.kept[j] == 0) out_.theta[j] = 0;
    if (!predicts(stage_.rule)) out_.predicted = std::numeric_limits<double>::quiet_NaN();
    return std::move(out_);
  }

 private:
  std::string why_none_is_left() const {
    const auto open = std::ranges::count_if(
        candidates_, [&](const Candidate& c) { return left_[c.group] > std::max<Index>(1, stage_.rule.keep); });
    if (open == 0) return "units: every group is down to what it keeps before the target is reached";
    return fmt::format(
        "units: the target was not reached: of the {} units left none has a finite cost, because their blocks of the "
        "inverse curvature are not positive definite to rounding; more damping avoids it",
        open);
  }
  bool reached() const {
    if (target_.multiply_adds > 0)
      return 1 - static_cast<double>(left_work_) / static_cast<double>(all_work_) >= target_.multiply_adds - 1e-12;
    return out_.mask.sparsity() >= target_.sparsity - 1e-12;
  }
  struct Saved {
    Index parameters = 0, multiply_adds = 0;
  };
  /// By removing what is left of the unit.
  Saved saved_by(const Unit& unit) const {
    Saved out;
    for (const std::vector<Index>* part : {&unit.incoming, &unit.outgoing})
      for (const Index j : *part) {
        const auto at = static_cast<std::size_t>(j);
        if (out_.mask.kept[at] == 0) continue;
        ++out.parameters;
        out.multiply_adds += uses_[at];
      }
    return out;
  }
  void price(std::vector<Candidate>& candidates) {
    for (Candidate& c : candidates) c.cost = costs_->cost(*c.unit);
  }
  /// For each multiply-add or parameter that is saved; of equal ones the first.
  typename std::vector<Candidate>::iterator cheapest() {
    auto best = candidates_.end();
    double least = std::numeric_limits<double>::infinity();
    for (auto c = candidates_.begin(); c != candidates_.end(); ++c) {
      if (left_[c->group] <= std::max<Index>(1, stage_.rule.keep)) continue;
      const Saved saved = saved_by(*c->unit);
      const Index gain = target_.multiply_adds > 0 ? saved.multiply_adds : saved.parameters;
      // hsp prefers the largest projections, whose scores are negative: a quotient would turn their order around.
      const double score = c->cost > 0 ? c->cost / static_cast<double>(std::max<Index>(1, gain)) : c->cost;
      if (score < least) least = score, best = c;
    }
    return best;
  }
  void take(typename std::vector<Candidate>::iterator at) {
    const Candidate chosen = *at;
    candidates_.erase(at);
    --left_[chosen.group];
    bool first = true;
    for (const std::vector<Index>* part : {&chosen.unit->incoming, &chosen.unit->outgoing})
      for (const Index j : *part) {
        if (out_.mask.kept[static_cast<std::size_t>(j)] == 0) continue;
        const double nothing = std::numeric_limits<double>::quiet_NaN();
        out_.removals.push_back({j, !predicts(stage_.rule) ? nothing : first ? chosen.cost : 0});
        first = false;
      }
    out_.predicted += chosen.cost;
    left_work_ -= saved_by(*chosen.unit).multiply_adds;
    remove(out_.mask, *chosen.unit);
    costs_->remove(*chosen.unit);
    if (costs_->changes()) price(candidates_);
  }

  Stage<T>& stage_;
  const ModelSpec& model_;
  UnitTarget target_;
  std::vector<UnitGroup> groups_;
  std::vector<Index> uses_;
  Index all_work_, left_work_ = 0;  ///< multiply-adds of the dense model and of what is kept
  std::vector<Index> left_;
  std::vector<Candidate> candidates_;
  std::unique_ptr<UnitCosts> costs_;
  Removed out_;
};

}  // namespace

Granularity parse_granularity(const std::string& name) {
  static const std::map<std::string, Granularity> words{
      {"none", Granularity::weights},   {"weights", Granularity::weights}, {"units", Granularity::units},
      {"neurons", Granularity::units},  {"channels", Granularity::units},  {"rows", Granularity::rows},
      {"columns", Granularity::columns}};
  if (const auto at = words.find(name); at != words.end()) return at->second;
  std::vector<std::string> names;
  for (const auto& [word, granularity] : words) names.push_back(word);
  throw UsageError(
      fmt::format("granularity '{}'{}: expected one of {}", name, did_you_mean(name, names), fmt::join(names, ", ")));
}

const std::string& name_of(Granularity granularity) {
  static const std::vector<std::string> names{"weights", "units", "rows", "columns"};
  return names.at(static_cast<std::size_t>(granularity));
}

template <class T>
Removed remove_units(Objective<T>& objective, const ModelSpec& model, Span<const double> theta, const Mask& mask,
                     const UnitTarget& target, const RemovalRule& rule, Granularity granularity) {
  if (rule.score == PruneScore::kfac_obs && granularity == Granularity::rows)
    throw UsageError("kfac_obs: rows are read by nothing, expected units or columns");
  RemovalRule whole = rule;
  whole.biases = true;
  // What hsp's automatic flat set counts: about as many parameters as are to go.
  const double share = std::max(target.multiply_adds, target.sparsity) - mask.sparsity();
  const auto count = static_cast<Index>(std::llround(std::max(0.0, share) * static_cast<double>(mask.size())));
  Stage<T> stage = make_stage(objective, theta, mask, {std::max<Index>(1, count), 0}, whole);
  Removed out = UnitStage<T>(stage, model, target, granularity).run();
  out.flat = stage.flat;
  out.notes.insert(out.notes.end(), stage.notes.begin(), stage.notes.end());
  return out;
}

template Removed remove_units(Objective<float>&, const ModelSpec&, Span<const double>, const Mask&, const UnitTarget&,
                              const RemovalRule&, Granularity);
template Removed remove_units(Objective<double>&, const ModelSpec&, Span<const double>, const Mask&, const UnitTarget&,
                              const RemovalRule&, Granularity);

}  // namespace hso
