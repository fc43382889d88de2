// SPDX-License-Identifier: Apache-2.0
#include "prune/select/leading_pairs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "prune/select/low_rank.hpp"

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

/// (I - V'V) A (I - V'V), V [r][m] orthonormal.
template <class T>
class ComplementOperator final : public LinearOperator<T> {
 public:
  ComplementOperator(LinearOperator<T>& a, const Buffer<T>& v, Index rank)
      : a_(a), v_(v), rank_(rank), projected_(a.context(), 0) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> x, View<T> y) override {
    const Index m = dimension(), k = x.lanes;
    if (projected_.size() < k * m) projected_ = Buffer<T>(context(), k * m);
    context().template ops<T>().for_each(k, m, Axpby<T>{T(1), x.data, x.lane_stride, T(0), projected_.data(), m});
    project(vector_view(projected_.data(), m, k));
    a_.apply(vector_view<const T>(projected_.data(), m, k), y);
    project(y);
  }

 private:
  /// x_k -= V'V x_k
  void project(View<T> x) {
    const Index m = dimension(), k = x.lanes;
    auto& ops = context().template ops<T>();
    Scratch scratch(context());
    T* along = scratch.take<T>(k * rank_);
    ops.gemm({k, rank_, m, x.data, x.lane_stride, false, v_.data(), m, true, along, rank_});
    GemmArgs<T> subtract{k, m, rank_, along, rank_, false, v_.data(), m, false, x.data, x.lane_stride};
    subtract.alpha = T(-1);
    subtract.beta = T(1);
    ops.gemm(subtract);
  }
  LinearOperator<T>& a_;
  const Buffer<T>& v_;
  Index rank_;
  Buffer<T> projected_;
};

/// The mean of the eigenvalues beside the pairs', from probes of their complement: the pairs' own values, orders of
/// magnitude larger, add nothing to its error.
template <class T>
double mean_of_the_rest(Stage<T>& stage, LinearOperator<T>& kept, const EigenPairs<T>& pairs) {
  const auto rank = static_cast<Index>(pairs.values.size()), rest = stage.m() - rank;
  if (rest == 0) return 0;
  ComplementOperator<T> complement(kept, pairs.vectors, rank);
  const Estimate sum = trace<T>(complement, {.products = kTraceProducts, .seed = stage.rule.seed});
  const double mean = sum.value / static_cast<double>(rest);
  if (mean < 0)
    stage.notes.push_back(fmt::format(
        "hsp_saliency: the {} eigenvalues beside the rank have the mean {:.3g} (standard error {:.2g}); the "
        "model takes the damping for them, as their sizes are not known",
        rest, mean, sum.standard_error / static_cast<double>(rest)));
  return mean;
}

/// [m][r]: column k is scale_k v_k, V [r][m].
template <class T>
Buffer<double> scaled_columns(Context& context, const Buffer<T>& v, const std::vector<double>& scales) {
  auto& ops = context.ops<double>();
  const auto r = static_cast<Index>(scales.size()), m = v.size() / std::max<Index>(1, r);
  Buffer<double> rows(context, r * m), columns(context, r * m);
  const Buffer<double> factors(context, scales);
  ops.for_each(1, r * m, Convert<double, T>{v.data(), rows.data()});
  ops.for_each(r, m, ScaleRows<double>{factors.data(), rows.data(), rows.data(), m});
  ops.for_each(r, m, TransposeBlock<double>{rows.data(), m, columns.data(), r});
  return columns;
}

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
  double top = 0;
  for (const double value : pairs.values) top = std::max(top, std::abs(value));
  LowRankModel model{rank, 0, Buffer<double>(stage.context, 0), stage.kept};
  model.tau = std::max(
      {mean_of_the_rest(stage, kept.part, pairs), stage.rule.damping * top, top * std::numeric_limits<T>::epsilon()});
  double smallest = top;
  std::vector<double> roots;
  for (const double value : pairs.values) {
    smallest = std::min(smallest, std::abs(value));
    roots.push_back(std::sqrt(std::max(0.0, std::abs(value) - model.tau)));
  }
  model.columns = scaled_columns(stage.context, pairs.vectors, roots);
  stage.flat = FlatReport{m - rank, m - rank, model.tau, smallest};
  return operate_low_rank(stage.context, model, stage.theta, {stage.count, stage.removable, stage.quotas}, kRounds);
}

template EigenPairs<float> leading_pairs(Stage<float>&);
template EigenPairs<double> leading_pairs(Stage<double>&);
template Surgery surgery_by_rank(Stage<float>&);
template Surgery surgery_by_rank(Stage<double>&);

}  // namespace hso::detail
