// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/prune/removal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "prune/select/ascending_scores.hpp"
#include "prune/select/leading_pairs.hpp"
#include "prune/select/quadratic_models.hpp"
#include "prune/select/quotas.hpp"

namespace hso {

using namespace detail;

namespace {

bool is_bias(const ParameterSlice& slice) { return slice.name.ends_with("bias"); }

void check(const RemovalRule& rule) {
  const auto at_least = [](const char* name, double value, double least) {
    if (!(value >= least) || !std::isfinite(value))
      throw UsageError(fmt::format("remove_parameters: {} {}, expected a finite number, at least {}", name,
                                   unsigned_nan(value), least));
  };
  at_least("damping", rule.damping, 0);
  at_least("block", static_cast<double>(rule.block), 0);
  at_least("rank", static_cast<double>(rule.rank), 0);
  at_least("samples", static_cast<double>(rule.samples), 1);
  at_least("keep", static_cast<double>(rule.keep), 0);
  if (rule.rank > 0 && ((rule.score != PruneScore::hsp && rule.score != PruneScore::hsp_saliency) ||
                        rule.flat.rule != FlatSet::Rule::automatic || rule.flat.order != FlatSet::Order::absolute))
    throw UsageError(fmt::format(
        "remove_parameters: rank {}, expected 0 but for hsp and hsp_saliency with the automatic flat set in "
        "absolute order",
        rule.rank));
  if (rule.pattern && !(0 < rule.pattern->kept && rule.pattern->kept < rule.pattern->of))
    throw UsageError(
        fmt::format("remove_parameters: {} of {} are kept, expected 0 < N < M", rule.pattern->kept, rule.pattern->of));
}

template <class T>
void check(const Objective<T>& objective, Span<const double> theta, const Mask& mask, const RemovalTarget& target) {
  const Index n = objective.dimension();
  if (static_cast<Index>(theta.size()) != n || mask.size() != n)
    throw InputError(fmt::format("remove_parameters: theta has {} entries and the mask {}, expected {}", theta.size(),
                                 mask.size(), n));
  if (target.count < 0 || !(target.sparsity >= 0 && target.sparsity < 1))
    throw UsageError(
        fmt::format("remove_parameters: count {} and sparsity {}, expected a count of at least 0 and a "
                    "sparsity in [0, 1)",
                    target.count, target.sparsity));
  for (std::size_t j = 0; j < theta.size(); ++j) {
    if (!std::isfinite(theta[j]))
      throw NumericalError(fmt::format("remove_parameters: parameter {} is {}", j, theta[j]));
    if (mask.kept[j] == 0 && theta[j] != 0)
      throw InputError(fmt::format("remove_parameters: parameter {} is {} and was removed, expected 0", j, theta[j]));
  }
}

/// No tensor falls below rule.keep, and with per_layer none above its share.
template <class T>
Quota tensor_quota(const Stage<T>& stage, const RemovalTarget& target) {
  Quota out{std::vector<Index>(stage.removable.size(), -1), {}};
  const std::vector<std::uint8_t> ever = removable_parameters(stage.layout, stage.rule);
  for (const ParameterSlice& slice : stage.layout) {
    Index kept = 0, open = 0, all = 0;
    for (Index j = slice.offset; j < slice.offset + slice.size(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      out.group[at] = static_cast<Index>(out.limits.size());
      kept += stage.mask.kept[at];
      open += stage.removable[at];
      all += ever[at];
    }
    Index limit = std::max<Index>(0, kept - stage.rule.keep);
    if (stage.rule.per_layer) {
      const auto gone = static_cast<Index>(std::llround(target.sparsity * static_cast<double>(all)));
      limit = std::min(limit, std::max<Index>(0, gone - (all - open)));
    }
    out.limits.push_back(std::min(limit, open));
  }
  return out;
}

template <class T>
Quota pattern_quota(const Stage<T>& stage, const NofM& pattern) {
  Quota out{std::vector<Index>(stage.removable.size(), -1), {}};
  for (const ParameterSlice& slice : stage.layout) {
    if (slice.shape.rank() < 2) continue;
    for (Index row = 0; row < slice.rows(); ++row)
      for (Index first = 0; first + pattern.of <= slice.columns(); first += pattern.of) {
        Index gone = 0;
        for (Index i = 0; i < pattern.of; ++i) {
          const auto at = static_cast<std::size_t>(slice.offset + row * slice.columns() + first + i);
          out.group[at] = static_cast<Index>(out.limits.size());
          gone += stage.mask.kept[at] == 0 ? 1 : 0;
        }
        out.limits.push_back(std::max<Index>(0, pattern.of - pattern.kept - gone));
      }
  }
  return out;
}

/// N:M: what belongs to no complete group stays.
template <class T>
void close_the_rest(Stage<T>& stage, const Quota& pattern) {
  for (std::size_t j = 0; j < stage.removable.size(); ++j)
    if (pattern.group[j] < 0) stage.removable[j] = 0;
}

template <class T>
void make_quotas(Stage<T>& stage, const RemovalTarget& target) {
  if (stage.rule.pattern) {
    stage.quotas.push_back(pattern_quota(stage, *stage.rule.pattern));
    close_the_rest(stage, stage.quotas.back());
  }
  stage.quotas.push_back(tensor_quota(stage, target));
  stage.count = target.count;
  if (stage.rule.pattern || stage.rule.per_layer) {
    const auto& limits = stage.quotas.front().limits;
    stage.count = std::accumulate(limits.begin(), limits.end(), Index{0});
  }
}

/// The smallest scores that the quotas allow; of equal ones the first.
template <class T>
Surgery by_scores(const Stage<T>& stage, const Buffer<double>& scores) {
  AscendingScores ascending(stage.context, scores, stage.removable, stage.count);
  Surgery out;
  out.theta.assign(stage.theta.begin(), stage.theta.end());
  QuotaCounts counts(stage.quotas);
  const bool priced = predicts(stage.rule);
  while (static_cast<Index>(out.removals.size()) < stage.count) {
    const std::optional<Removal> next = ascending.next();
    if (!next) break;
    if (!counts.allows(next->parameter)) continue;
    counts.count(next->parameter);
    out.removals.push_back({next->parameter, priced ? next->predicted : std::numeric_limits<double>::quiet_NaN()});
    out.theta[static_cast<std::size_t>(next->parameter)] = 0;
    out.predicted += out.removals.back().predicted;
  }
  if (!priced) out.predicted = std::numeric_limits<double>::quiet_NaN();
  return out;
}

void require_finite(Context& context, const Buffer<double>& scores, PruneScore score) {
  if (!std::isfinite(context.ops<double>().max_abs(scores.size(), scores.data())))
    throw NumericalError(fmt::format("{}: a score is not finite, expected finite curvature", name_of(score)));
}

std::vector<Index> watched_counts(Index count, Index points) {
  std::vector<Index> out;
  for (Index k = 1; k < points; ++k) {
    const Index at = count * k / points;
    if (at > 0 && (out.empty() || out.back() < at)) out.push_back(at);
  }
  return out;
}

/// The same without compensation, afterwards.
template <class T>
void watch(const Stage<T>& stage, const Surgery& surgery) {
  const auto all = static_cast<Index>(surgery.removals.size());
  if (!stage.target.watch || stage.target.points < 1 || all == 0) return;
  std::vector<Index> counts = watched_counts(all, stage.target.points);
  counts.push_back(all);
  std::vector<double> theta(stage.theta.begin(), stage.theta.end());
  double predicted = 0;
  auto next = counts.begin();
  for (Index k = 0; k < all; ++k) {
    const Removal& r = surgery.removals[static_cast<std::size_t>(k)];
    theta[static_cast<std::size_t>(r.parameter)] = 0;
    predicted += r.predicted;
    if (k + 1 == *next) stage.target.watch(*next++, predicted, theta);
  }
}

template <class T>
Surgery compensated(Stage<T>& stage) {
  if (stage.rule.rank > 0) return surgery_by_rank(stage);
  const StageModel<T> model =
      stage.rule.score == PruneScore::hsp_saliency ? spectral_model(stage) : quadratic_model(stage);
  SurgeryOptions options{stage.count, stage.removable, stage.quotas, model.damping};
  std::vector<std::pair<Index, std::vector<double>>> seen;
  const bool watched = stage.rule.compensate && stage.target.watch && stage.target.points > 0;
  if (watched) {
    options.watched = watched_counts(stage.count, stage.target.points);
    options.watch = [&](Index count, const std::vector<double>& theta) { seen.emplace_back(count, theta); };
  }
  Surgery out = obs_prune<T>(stage.context, model.model, stage.theta, options);
  for (const auto& [count, theta] : seen) {
    double predicted = 0;
    for (Index k = 0; k < count; ++k) predicted += out.removals[static_cast<std::size_t>(k)].predicted;
    stage.target.watch(count, predicted, theta);
  }
  return out;
}

template <class T>
Surgery by_surgery(Stage<T>& stage) {
  Surgery out = compensated(stage);
  if (stage.rule.compensate) return out;
  // The costs are those of removals with compensation.
  out.theta.assign(stage.theta.begin(), stage.theta.end());
  out.predicted = std::numeric_limits<double>::quiet_NaN();
  for (Removal& r : out.removals) {
    out.theta[static_cast<std::size_t>(r.parameter)] = 0;
    r.predicted = out.predicted;
  }
  watch(stage, out);
  return out;
}

template <class T>
Surgery perform(Stage<T>& stage) {
  if (compensates(stage.rule.score)) return by_surgery(stage);
  const Buffer<double> scores = scores_on_device(stage);
  require_finite(stage.context, scores, stage.rule.score);
  const Surgery out = by_scores(stage, scores);
  watch(stage, out);
  return out;
}

void say_flat(Removed& out) {
  if (!out.flat || out.flat->asked == out.flat->used) return;
  out.notes.push_back(fmt::format("flat set: {} eigenvalues instead of {}, whose boundary lay inside a cluster",
                                  out.flat->used, out.flat->asked));
}

}  // namespace

std::vector<std::uint8_t> removable_parameters(const std::vector<ParameterSlice>& layout, const RemovalRule& rule) {
  std::vector<std::string> names;
  Index n = 0;
  for (const ParameterSlice& slice : layout) {
    names.push_back(slice.name);
    n = std::max(n, slice.offset + slice.size());
  }
  for (const std::string& wanted : rule.tensors)
    if (std::find(names.begin(), names.end(), wanted) == names.end())
      throw UsageError(fmt::format("pruning: there is no tensor '{}'{}, expected some of {}", wanted,
                                   did_you_mean(wanted, names), fmt::join(names, ", ")));
  std::vector<std::uint8_t> out(static_cast<std::size_t>(n), 0);
  for (const ParameterSlice& slice : layout) {
    const bool named = std::find(rule.tensors.begin(), rule.tensors.end(), slice.name) != rule.tensors.end();
    const bool wanted = rule.tensors.empty() ? rule.biases || !is_bias(slice) : named;
    if (wanted) std::fill_n(out.begin() + slice.offset, slice.size(), std::uint8_t{1});
  }
  return out;
}

template <class T>
Stage<T> detail::make_stage(Objective<T>& objective, Span<const double> theta, const Mask& mask,
                            const RemovalTarget& target, const RemovalRule& rule) {
  check(rule);
  check(objective, theta, mask, target);
  Stage<T> stage{objective,    objective.context(),
                 theta,        mask,
                 rule,         target,
                 target.count, objective.layout(),
                 {},           {},
                 {},           Buffer<T>(objective.context(), std::vector<T>(theta.begin(), theta.end())),
                 {},           {}};
  stage.removable = removable_parameters(stage.layout, rule);
  for (std::size_t j = 0; j < mask.kept.size(); ++j) {
    if (mask.kept[j] != 0) stage.kept.push_back(static_cast<Index>(j));
    if (mask.kept[j] == 0) stage.removable[j] = 0;
  }
  make_quotas(stage, target);
  return stage;
}

template <class T>
Removed remove_parameters(Objective<T>& objective, Span<const double> theta, const Mask& mask,
                          const RemovalTarget& target, const RemovalRule& rule) {
  Stage<T> stage = make_stage(objective, theta, mask, target, rule);
  Removed out;
  out.mask = mask;
  Surgery surgery;
  if (stage.count > 0 && stage.m() > 0) {
    surgery = perform(stage);
  } else {
    surgery.theta.assign(theta.begin(), theta.end());
  }
  for (const Removal& r : surgery.removals) out.mask.kept[static_cast<std::size_t>(r.parameter)] = 0;
  out.theta = std::move(surgery.theta);
  out.removals = std::move(surgery.removals);
  out.predicted = surgery.predicted;
  out.flat = stage.flat;
  out.notes = std::move(stage.notes);
  out.notes.insert(out.notes.end(), surgery.notes.begin(), surgery.notes.end());
  say_flat(out);
  if (const auto gone = static_cast<Index>(out.removals.size()); gone < stage.count)
    out.notes.push_back(
        fmt::format("{} of {} were removed: what every tensor keeps allows no more", gone, stage.count));
  return out;
}

template Stage<float> detail::make_stage(Objective<float>&, Span<const double>, const Mask&, const RemovalTarget&,
                                         const RemovalRule&);
template Stage<double> detail::make_stage(Objective<double>&, Span<const double>, const Mask&, const RemovalTarget&,
                                          const RemovalRule&);
template Removed remove_parameters(Objective<float>&, Span<const double>, const Mask&, const RemovalTarget&,
                                   const RemovalRule&);
template Removed remove_parameters(Objective<double>&, Span<const double>, const Mask&, const RemovalTarget&,
                                   const RemovalRule&);

}  // namespace hso
