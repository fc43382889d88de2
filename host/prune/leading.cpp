// SPDX-License-Identifier: Apache-2.0
#include "prune/leading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/error.hpp"
#include "prune/low_rank.hpp"

namespace hso::detail {

namespace {

constexpr Index kRounds = 64, kTraceProducts = 30;
constexpr double kTolerance = 1e-4;  // of the pairs: scores are of their squares

/// The curvature of the kept parameters, with what it refers to.
template <class T>
struct Kept {
  explicit Kept(Stage<T>& stage)
      : whole(stage.objective.curvature(stage.point.data(), stage.rule.curvature)), part(*whole, stage.kept) {}
  std::unique_ptr<LinearOperator<T>> whole;
  RestrictedOperator<T> part;
};

template <class T>
EigenPairs<T> leading_pairs_of(Stage<T>& stage, LinearOperator<T>& kept) {
  const Index rank = std::min(stage.rule.rank, stage.m());
  EigenPairs<T> pairs = lanczos<T>(kept, {.count = rank, .which = SpectrumEnd::magnitude, .tolerance = kTolerance});
  if (!pairs.all_converged())
    throw NumericalError(fmt::format("{}: {} of {} eigenpairs converged ({}), expected all: ask for another rank",
                                     name_of(stage.rule.score), pairs.converged, rank, pairs.stop));
  return pairs;
}

}  // namespace

template <class T>
EigenPairs<T> leading_pairs(Stage<T>& stage) {
  Kept<T> kept(stage);
  return leading_pairs_of(stage, kept.part);
}

template <class T>
Surgery surgery_by_rank(Stage<T>& stage) {
  Kept<T> kept(stage);
  const EigenPairs<T> pairs = leading_pairs_of(stage, kept.part);
  const Index m = stage.m(), rank = static_cast<Index>(pairs.values.size());
  double left = trace<T>(kept.part, {.products = kTraceProducts, .seed = stage.rule.seed}).value, top = 0;
  for (const double value : pairs.values) {
    left -= value;
    top = std::max(top, std::abs(value));
  }
  LowRankModel model{rank, 0, {}, stage.kept};
  model.tau = std::max({std::abs(left) / static_cast<double>(std::max<Index>(1, m - rank)), stage.rule.damping * top,
                        top * std::numeric_limits<T>::epsilon()});
  const std::vector<T> v = pairs.vectors.download();
  double smallest = top;
  for (Index k = 0; k < rank; ++k) {
    const double size = std::abs(pairs.values[static_cast<std::size_t>(k)]);
    smallest = std::min(smallest, size);
    const double root = std::sqrt(std::max(0.0, size - model.tau));
    for (Index i = 0; i < m; ++i) model.u.push_back(root * static_cast<double>(v[static_cast<std::size_t>(k * m + i)]));
  }
  stage.flat = FlatReport{m - rank, m - rank, model.tau, smallest};
  return operate_low_rank(model, stage.theta, {stage.count, stage.removable, stage.quotas}, kRounds);
}

template EigenPairs<float> leading_pairs(Stage<float>&);
template EigenPairs<double> leading_pairs(Stage<double>&);
template Surgery surgery_by_rank(Stage<float>&);
template Surgery surgery_by_rank(Stage<double>&);

}  // namespace hso::detail
