// SPDX-License-Identifier: Apache-2.0
#include "prune/select/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "linalg/mean_diagonal.hpp"
#include "prune/select/block_matrix.hpp"
#include "prune/select/group_inverse.hpp"
#include "prune/select/quadratic_models.hpp"
#include "prune/select/score_table.hpp"

namespace hso::detail {

namespace {

/// Scores of single parameters, put together.
class AddedCosts final : public UnitCosts {
 public:
  AddedCosts(std::map<const Unit*, double> costs, Span<const double> theta)
      : costs_(std::move(costs)), theta_(theta.begin(), theta.end()) {}
  double cost(const Unit& unit) override { return costs_.at(&unit); }
  void remove(const Unit&) override {}
  std::vector<double> theta() override { return theta_; }
  bool changes() const override { return false; }

 private:
  std::map<const Unit*, double> costs_;
  std::vector<double> theta_;
};

/// What was replaced, and of entries that group inverses removed without making up for them.
std::string note_of(const std::string& replaced, Index uncompensated) {
  if (uncompensated == 0) return replaced;
  return fmt::format(
      "{}{}units: {} parameters were removed without making up for them, because their block of the inverse curvature "
      "was not positive definite to rounding; more damping avoids it",
      replaced, replaced.empty() ? "" : "; ", uncompensated);
}

double sum_at(const std::vector<double>& values, const std::vector<Index>& where) {
  double sum = 0;
  for (const Index j : where) sum += values[static_cast<std::size_t>(j)];
  return sum;
}

double unit_score(UnitScore rule, const std::vector<double>& values, const Unit& unit) {
  // Columns are made by nothing: what reads them counts.
  const std::vector<Index>& makers = unit.incoming.empty() ? unit.outgoing : unit.incoming;
  const double incoming = sum_at(values, makers), all = sum_at(values, unit.incoming) + sum_at(values, unit.outgoing);
  switch (rule) {
    case UnitScore::mean_of_makers:
      return incoming / static_cast<double>(makers.size());
    case UnitScore::sum_of_makers:
      return std::abs(incoming);
    case UnitScore::first:
      return values[static_cast<std::size_t>(makers.front())];
    case UnitScore::mean:
      return all / static_cast<double>(unit.incoming.size() + unit.outgoing.size());
    case UnitScore::sum:
      break;
  }
  return all;
}

template <class T>
std::vector<double> signed_gradient(Stage<T>& stage) {
  Buffer<T> g(stage.context, stage.n());
  stage.objective.gradient(stage.point.data(), g.data());
  const std::vector<T> values = g.download();
  std::vector<double> out(values.begin(), values.end());
  for (std::size_t j = 0; j < out.size(); ++j) out[j] *= stage.theta[j];
  return out;
}

template <class T>
std::unique_ptr<UnitCosts> added_costs(Stage<T>& stage, const std::vector<UnitGroup>& groups) {
  const UnitScore rule = row_of(stage.rule.score).unit;
  const std::vector<double> values =
      rule == UnitScore::sum_of_makers ? signed_gradient(stage) : scores_on_device(stage).download();
  std::map<const Unit*, double> costs;
  for (const UnitGroup& group : groups) {
    double mean = 0, count = 0;
    for (const Unit& unit : group.units) {
      mean += costs[&unit] = unit_score(rule, values, unit);
      count += costs[&unit] != 0 ? 1 : 0;  // what is gone has no size
    }
    mean /= std::max(1.0, count);

    if (rule == UnitScore::mean_of_makers && mean > 0)
      for (const Unit& unit : group.units) costs[&unit] /= mean;
  }
  return std::make_unique<AddedCosts>(std::move(costs), stage.theta);
}

/// (A + delta I)^-1 of A[m][m]; where A + delta I is not positive definite, absolute eigenvalues take its place, as the
/// note then says.
template <class T>
Buffer<T> inverse_of(Stage<T>& stage, Index m, Buffer<T> h, double damping, std::string& note) {
  auto& ops = stage.context.template ops<T>();
  const double delta = damping * mean_diagonal(stage.context, m, h.data(), m);
  ops.for_each(1, m, AddDiagonal<T>{h.data(), m, static_cast<T>(delta)});
  const InverseReport report = inverse<T>(stage.context, {h.data(), Shape{m, m}}, {.route = InverseRoute::cholesky});
  if (report.status == LinalgStatus::ok) return h;
  if (report.status != LinalgStatus::not_positive_definite)
    throw NumericalError(
        fmt::format("{}: the inverse of the damped curvature: {}", name_of(stage.rule.score), name_of(report.status)));
  note += (note.empty() ? "" : "; ") + make_positive_definite(stage.context, m, m, h.data(), delta, true);
  return h;
}

/// One matrix over all kept parameters.
template <class T>
class DenseCosts final : public UnitCosts {
 public:
  explicit DenseCosts(Stage<T>& stage)
      : stage_(stage), place_(stage.mask.kept.size(), -1), inverse_(make(stage, place_, replaced_)) {}
  double cost(const Unit& unit) override { return inverse_.cost(rows_of(unit)); }
  void remove(const Unit& unit) override {
    const std::vector<Index> rows = rows_of(unit);
    inverse_.remove(rows, stage_.rule.compensate);
    for (const std::vector<Index>* part : {&unit.incoming, &unit.outgoing})
      for (const Index j : *part) place_[static_cast<std::size_t>(j)] = -1;
  }
  std::vector<double> theta() override {
    std::vector<double> out(stage_.theta.begin(), stage_.theta.end());
    const std::vector<T> w = inverse_.weights();
    for (std::size_t i = 0; i < stage_.kept.size(); ++i)
      out[static_cast<std::size_t>(stage_.kept[i])] = static_cast<double>(w[i]);
    return out;
  }
  bool changes() const override { return true; }
  std::string note() const override { return note_of(replaced_, inverse_.uncompensated()); }

 private:
  static GroupInverse<T> make(Stage<T>& stage, std::vector<Index>& place, std::string& replaced) {
    std::vector<T> w;
    for (const Index j : stage.kept) {
      place[static_cast<std::size_t>(j)] = static_cast<Index>(w.size());
      w.push_back(static_cast<T>(stage.theta[static_cast<std::size_t>(j)]));
    }
    StageModel<T> model = stage.rule.score == PruneScore::hsp_saliency ? spectral_model(stage) : quadratic_model(stage);
    const Index m = stage.m();
    if (model.model.blocks.size() != 1)
      throw UsageError(
          "units: a block size or a large network makes several matrices, expected kfac_obs or obs of one");
    const Index order = model.model.orders.front();
    Buffer<T> h(stage.context, order * order);
    model.model.fill(0, h.data());
    if (order != m) {
      Buffer<T> kept(stage.context, m * m);
      const Buffer<Index> rows(stage.context, model.model.blocks.front().rows);
      stage.context.template ops<T>().for_each(m, m,
                                               GatherBlock<T>{h.data(), order, rows.data(), kept.data(), m, T(0)});
      h = std::move(kept);
    }
    return {stage.context, m, inverse_of(stage, m, std::move(h), model.damping, replaced), w, {1.0}};
  }
  std::vector<Index> rows_of(const Unit& unit) const {
    std::vector<Index> out;
    for (const std::vector<Index>* part : {&unit.incoming, &unit.outgoing})
      for (const Index j : *part)
        if (place_[static_cast<std::size_t>(j)] >= 0) out.push_back(place_[static_cast<std::size_t>(j)]);
    return out;
  }
  Stage<T>& stage_;
  std::vector<Index> place_;  ///< of a parameter in the matrix, -1 when it is gone
  std::string replaced_;      ///< before inverse_, whose making writes it
  GroupInverse<T> inverse_;
};

/// A unit is what its readers lose: columns of their [W b].
template <class T>
class KroneckerCosts final : public UnitCosts {
 public:
  explicit KroneckerCosts(Stage<T>& stage) : stage_(stage), layers_(kronecker_layers(stage)) {
    for (const KroneckerLayer<T>& layer : layers_) {
      const Index in = layer.block.inputs;
      std::vector<T> w(static_cast<std::size_t>(layer.block.outputs * in), T(0));
      for_entries(layer,
                  [&](std::size_t at, Index j) { w[at] = static_cast<T>(stage.theta[static_cast<std::size_t>(j)]); });
      std::vector<double> b;
      for (Index r = 0; r < layer.block.outputs; ++r)
        b.push_back(static_cast<double>(layer.output_diagonal[static_cast<std::size_t>(r)]));
      Buffer<T> a(stage.context, layer.input_factor);
      inverses_.emplace_back(stage.context, in, inverse_of(stage, in, std::move(a), stage.rule.damping, replaced_), w,
                             b);
      inverses_.back().remove(dead_columns(layer), false);
    }
  }
  double cost(const Unit& unit) override {
    double sum = 0;
    for (const auto& [layer, columns] : columns_of(unit)) sum += inverses_[layer].cost(columns);
    return sum;
  }
  void remove(const Unit& unit) override {
    for (const auto& [layer, columns] : columns_of(unit)) inverses_[layer].remove(columns, stage_.rule.compensate);
    for (const Index j : unit.incoming)
      for (std::size_t l = 0; l < layers_.size(); ++l)
        if (const Index row = row_of(layers_[l], j); row >= 0) inverses_[l].silence(row);
  }
  std::vector<double> theta() override {
    std::vector<double> out(stage_.theta.begin(), stage_.theta.end());
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const std::vector<T> w = inverses_[l].weights();
      for_entries(layers_[l], [&](std::size_t at, Index j) {
        if (stage_.mask.kept[static_cast<std::size_t>(j)] != 0)
          out[static_cast<std::size_t>(j)] = static_cast<double>(w[at]);
      });
    }
    return out;
  }
  bool changes() const override { return true; }
  std::string note() const override {
    Index sum = 0;
    for (const GroupInverse<T>& inverse : inverses_) sum += inverse.uncompensated();
    return note_of(replaced_, sum);
  }

 private:
  /// visit(position in [W b], position in theta)
  template <class Visit>
  static void for_entries(const KroneckerLayer<T>& layer, const Visit& visit) {
    for (Index r = 0; r < layer.block.outputs; ++r) {
      const auto row = static_cast<std::size_t>(r * layer.block.inputs);
      for (Index k = 0; k < layer.place.columns; ++k)
        visit(row + static_cast<std::size_t>(k), layer.place.weight + r * layer.place.columns + k);
      if (layer.place.bias >= 0) visit(row + static_cast<std::size_t>(layer.block.inputs - 1), layer.place.bias + r);
    }
  }
  std::vector<Index> dead_columns(const KroneckerLayer<T>& layer) const {
    std::vector<std::uint8_t> alive(static_cast<std::size_t>(layer.block.inputs), 0);
    for_entries(layer, [&](std::size_t at, Index j) {
      if (stage_.mask.kept[static_cast<std::size_t>(j)] != 0) alive[at % alive.size()] = 1;
    });
    std::vector<Index> out;
    for (std::size_t k = 0; k < alive.size(); ++k)
      if (alive[k] == 0) out.push_back(static_cast<Index>(k));
    return out;
  }
  /// Of a weight in the layer's [W b], -1 for another's.
  static Index row_of(const KroneckerLayer<T>& layer, Index j) {
    const LayerPlace& place = layer.place;
    const bool inside = j >= place.weight && j < place.weight + layer.block.outputs * place.columns;
    return inside ? (j - place.weight) / place.columns : -1;
  }
  std::map<std::size_t, std::vector<Index>> columns_of(const Unit& unit) const {
    std::map<std::size_t, std::vector<Index>> out;
    for (const Index j : unit.outgoing)
      for (std::size_t l = 0; l < layers_.size(); ++l) {
        if (row_of(layers_[l], j) < 0) continue;
        out[l].push_back((j - layers_[l].place.weight) % layers_[l].place.columns);
      }
    for (auto& [layer, columns] : out) {
      std::sort(columns.begin(), columns.end());
      columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    }
    return out;
  }
  Stage<T>& stage_;
  std::vector<KroneckerLayer<T>> layers_;
  std::vector<GroupInverse<T>> inverses_;
  std::string replaced_;
};

}  // namespace

template <class T>
std::unique_ptr<UnitCosts> unit_costs(Stage<T>& stage, const std::vector<UnitGroup>& groups) {
  if (stage.rule.score == PruneScore::kfac_obs) return std::make_unique<KroneckerCosts<T>>(stage);
  if (stage.rule.rank > 0 && compensates(stage.rule.score))
    throw UsageError("units: hsp_saliency has no rank there, expected kfac_obs or all eigenvalues");
  if (compensates(stage.rule.score)) return std::make_unique<DenseCosts<T>>(stage);
  return added_costs(stage, groups);
}

template std::unique_ptr<UnitCosts> unit_costs(Stage<float>&, const std::vector<UnitGroup>&);
template std::unique_ptr<UnitCosts> unit_costs(Stage<double>&, const std::vector<UnitGroup>&);

}  // namespace hso::detail
