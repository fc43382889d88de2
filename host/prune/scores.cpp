// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/linalg.hpp"
#include "hsogpu/objective_around.hpp"
#include "prune/leading.hpp"

namespace hso::detail {

namespace {

template <class T>
std::vector<double> on_host(const Buffer<T>& buffer) {
  const std::vector<T> values = buffer.download();
  return {values.begin(), values.end()};
}

/// values of kept parameters, back at their places.
template <class T>
std::vector<double> spread(const Stage<T>& stage, const std::vector<double>& values) {
  std::vector<double> out(static_cast<std::size_t>(stage.n()), 0);
  for (std::size_t i = 0; i < values.size(); ++i) out[static_cast<std::size_t>(stage.kept[i])] = values[i];
  return out;
}

/// A random permutation's ranks: the same on every machine.
std::vector<double> random_scores(Index n, std::uint64_t seed) {
  std::vector<double> out(static_cast<std::size_t>(n));
  const std::vector<Index> order = shuffled_indices(n, seed);
  for (Index rank = 0; rank < n; ++rank)
    out[static_cast<std::size_t>(order[static_cast<std::size_t>(rank)])] = static_cast<double>(rank);
  return out;
}

template <class T>
std::vector<double> gradient_scores(Stage<T>& stage) {
  Buffer<T> g(stage.context, stage.n());
  stage.objective.gradient(stage.point.data(), g.data());
  std::vector<double> out = on_host(g);
  for (std::size_t j = 0; j < out.size(); ++j) out[j] = std::abs(out[j] * stage.theta[j]);
  return out;
}

template <class T>
Index matrix_bytes(Index n) {
  return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
}

/// Exact where the matrix is formed; above that, of a network's ggn, its exact diagonal.
constexpr Index kDiagonalByMatrix = 4096;

template <class T>
std::vector<double> curvature_diagonal(Stage<T>& stage) {
  auto* network = network_inside(stage.objective);
  if (stage.n() <= kDiagonalByMatrix || network == nullptr) {
    const Buffer<T> h = kept_curvature(stage, matrix_bytes<T>);
    Buffer<T> d(stage.context, stage.m());
    stage.context.template ops<T>().for_each(1, stage.m(), Diagonal<T>{h.data(), d.data(), stage.m()});
    return spread(stage, on_host(d));
  }
  if (stage.rule.curvature != Curvature::ggn)
    stage.notes.push_back(fmt::format("obd: the exact diagonal of the ggn stands for that of {} above {} parameters",
                                      name_of(stage.rule.curvature), kDiagonalByMatrix));
  const auto diagonal = network->curvature(stage.point.data(), Curvature::diagonal);
  Buffer<T> ones(stage.context, stage.n()), d(stage.context, stage.n());
  stage.context.template ops<T>().fill(stage.n(), T(1), ones.data());
  diagonal->apply(ones.view(), d.view());
  return on_host(d);
}

template <class T>
std::vector<double> diagonal_scores(Stage<T>& stage) {
  std::vector<double> out = curvature_diagonal(stage);
  for (std::size_t j = 0; j < out.size(); ++j) out[j] *= 0.5 * stage.theta[j] * stage.theta[j];
  return out;
}

/// squares[i] = sum of v_ki^2 over `rows` vectors.
template <class T>
std::vector<double> squares_of(Stage<T>& stage, Index rows, T* v) {
  auto& ops = stage.context.template ops<T>();
  const Index m = stage.m();
  Buffer<T> sums(stage.context, m);
  ops.fill(m, T(0), sums.data());
  if (rows > 0) {
    ops.for_each(1, rows * m, Square<T>{v, v});
    ops.sum_rows({1, rows, m, v, rows * m, sums.data(), m, T(0)});
  }
  return on_host(sums);
}

/// The flat set is all but the largest |l|: s = 1 - sum of their squares.
template <class T>
std::vector<double> scores_by_rank(Stage<T>& stage) {
  EigenPairs<T> pairs = leading_pairs(stage);
  const auto rank = static_cast<Index>(pairs.values.size());
  stage.flat = FlatReport{stage.m() - rank, stage.m() - rank, 0, 0};
  std::vector<double> out = squares_of(stage, rank, pairs.vectors.data());
  for (double& s : out) s -= 1;
  return out;
}

template <class T>
EighResult eigenvectors(Stage<T>& stage, Buffer<T>& h) {
  const EighResult e = eigh<T>(stage.context, {h.data(), Shape{stage.m(), stage.m()}});
  if (!e.ok())
    throw NumericalError(fmt::format("{}: the eigendecomposition of the curvature failed ({})",
                                     name_of(stage.rule.score), name_of(e.status)));
  stage.notes.insert(stage.notes.end(), e.fallbacks.begin(), e.fallbacks.end());
  return e;
}

}  // namespace

template <class T>
std::vector<double> simple_scores(Stage<T>& stage) {
  switch (stage.rule.score) {
    case PruneScore::random:
      return random_scores(stage.n(), stage.rule.seed);
    case PruneScore::gradient:
      return gradient_scores(stage);
    case PruneScore::obd:
      return diagonal_scores(stage);
    default:
      break;
  }
  std::vector<double> out(stage.theta.begin(), stage.theta.end());
  for (double& w : out) w = std::abs(w);
  return out;
}

template <class T>
std::vector<double> flat_scores(Stage<T>& stage) {
  if (stage.rule.rank > 0 && stage.rule.score == PruneScore::hsp) {
    return spread(stage, scores_by_rank(stage));
  }
  const Index m = stage.m();
  Buffer<T> h =
      kept_curvature<T>(stage, [&](Index n) { return 2 * matrix_bytes<T>(n) + eigh_bytes<T>(stage.context, n); });
  const EighResult e = eigenvectors(stage, h);
  const bool literal = stage.rule.score == PruneScore::hsp_literal;
  FlatSet set = stage.rule.flat;
  if (literal) set.rule = FlatSet::Rule::count, set.value = 1;
  FlatChoice flat = choose_flat(e.values, set, stage.count, std::numeric_limits<T>::epsilon());
  const Index rows = literal ? 1 : flat.report.used;
  if (literal) flat.report.used = 1;
  stage.flat = flat.report;
  const Buffer<Index> order(stage.context, std::vector<Index>(flat.order.begin(), flat.order.begin() + rows));
  Buffer<T> v(stage.context, rows * m);
  stage.context.template ops<T>().for_each(rows, m, GatherRows<T>{h.data(), order.data(), v.data(), m});
  std::vector<double> out = squares_of(stage, rows, v.data());
  for (double& s : out) s = -s;
  return spread(stage, out);
}

template std::vector<double> simple_scores(Stage<float>&);
template std::vector<double> simple_scores(Stage<double>&);
template std::vector<double> flat_scores(Stage<float>&);
template std::vector<double> flat_scores(Stage<double>&);

}  // namespace hso::detail
