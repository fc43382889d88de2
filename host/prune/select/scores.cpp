// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <type_traits>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "io/enumerator_name.hpp"
#include "prune/select/leading_pairs.hpp"
#include "prune/select/score_table.hpp"

namespace hso::detail {

namespace {

template <class T>
Ops<double>& wide(Stage<T>& stage) {
  return stage.context.template ops<double>();
}

template <class T>
Buffer<double> theta_of(Stage<T>& stage) {
  return Buffer<double>(stage.context, stage.theta);
}

/// scale * values + shift of kept parameters at their places, 0 elsewhere.
template <class T>
Buffer<double> spread(Stage<T>& stage, const Buffer<T>& values, double scale = 1, double shift = 0) {
  const Buffer<Index> kept(stage.context, stage.kept);
  Buffer<double> out(stage.context, stage.n());
  wide(stage).fill(stage.n(), 0.0, out.data());
  stage.context.template ops<T>().for_each(1, stage.m(),
                                           SpreadScores<T>{values.data(), kept.data(), scale, shift, out.data()});
  return out;
}

template <class T>
Buffer<double> magnitudes(Stage<T>& stage) {
  const Buffer<double> theta = theta_of(stage);
  Buffer<double> out(stage.context, stage.n());
  wide(stage).for_each(1, stage.n(), MagnitudeScore<double>{theta.data(), out.data()});
  return out;
}

/// A random permutation's ranks: the same on every machine.
template <class T>
Buffer<double> random_scores(Stage<T>& stage) {
  std::vector<double> out(static_cast<std::size_t>(stage.n()));
  const std::vector<Index> order = shuffled_indices(stage.n(), stage.rule.seed);
  for (std::size_t rank = 0; rank < order.size(); ++rank)
    out[static_cast<std::size_t>(order[rank])] = static_cast<double>(rank);
  return Buffer<double>(stage.context, out);
}

template <class T>
Buffer<double> gradient_scores(Stage<T>& stage) {
  const Buffer<double> theta = theta_of(stage);
  Buffer<T> g(stage.context, stage.n());
  Buffer<double> out(stage.context, stage.n());
  stage.objective.gradient(stage.point.data(), g.data());
  stage.context.template ops<T>().for_each(1, stage.n(), GradientScore<T>{g.data(), theta.data(), out.data()});
  return out;
}

template <class T>
Index matrix_bytes(Index n) {
  return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
}

/// Exact where the matrix is formed; above that, of a network's ggn, its exact diagonal.
template <class T>
Buffer<double> curvature_diagonal(Stage<T>& stage) {
  auto* network = stage.objective.network();
  if (stage.n() <= kDiagonalByMatrix || network == nullptr) {
    const Buffer<T> h = kept_curvature(stage, matrix_bytes<T>);
    Buffer<T> d(stage.context, stage.m());
    stage.context.template ops<T>().for_each(1, stage.m(), Diagonal<T>{h.data(), d.data(), stage.m()});
    return spread(stage, d);
  }
  if (stage.rule.curvature != Curvature::ggn)
    stage.notes.push_back(fmt::format("obd: the exact diagonal of the ggn stands for that of {} above {} parameters",
                                      name_of(stage.rule.curvature), kDiagonalByMatrix));
  const auto diagonal = network->curvature(stage.point.data(), Curvature::diagonal);
  Buffer<T> ones(stage.context, stage.n()), d(stage.context, stage.n());
  stage.context.template ops<T>().fill(stage.n(), T(1), ones.data());
  diagonal->apply(ones.view(), d.view());
  Buffer<double> out(stage.context, stage.n());
  wide(stage).for_each(1, stage.n(), Convert<double, T>{d.data(), out.data()});
  return out;
}

template <class T>
Buffer<double> diagonal_scores(Stage<T>& stage) {
  Buffer<double> out = curvature_diagonal(stage);
  const Buffer<double> theta = theta_of(stage);
  wide(stage).for_each(1, stage.n(), CurvatureScore<double>{theta.data(), out.data()});
  return out;
}

/// squares[i] = sum of v_ki^2 over `rows` vectors.
template <class T>
Buffer<T> squares_of(Stage<T>& stage, Index rows, T* v) {
  auto& ops = stage.context.template ops<T>();
  const Index m = stage.m();
  Buffer<T> sums(stage.context, m);
  ops.fill(m, T(0), sums.data());
  if (rows > 0) {
    ops.for_each(1, rows * m, Square<T>{v, v});
    ops.sum_rows({1, rows, m, v, rows * m, sums.data(), m, T(0)});
  }
  return sums;
}

/// The flat set is all but the largest |l|: s = 1 - sum of their squares.
template <class T>
Buffer<double> scores_by_rank(Stage<T>& stage) {
  EigenPairs<T> pairs = leading_pairs(stage);
  const auto rank = static_cast<Index>(pairs.values.size());
  stage.flat = FlatReport{stage.m() - rank, stage.m() - rank, 0, 0};
  return spread(stage, squares_of(stage, rank, pairs.vectors.data()), 1, -1);
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

template <class T>
Buffer<double> flat_scores(Stage<T>& stage) {
  if (stage.rule.rank > 0 && stage.rule.score == PruneScore::hsp) return scores_by_rank(stage);
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
  return spread(stage, squares_of(stage, rows, v.data()), -1);
}

/// Numbers of single parameters; `predicts`: they are changes of the loss.
template <auto InFloat, auto InDouble>
constexpr ScoreRow direct(PruneScore score, const char* name, const char* summary, bool predicts, UnitScore unit) {
  return {score, name, summary, false, predicts, unit, InFloat, InDouble};
}
/// Removals change the numbers of what stays.
constexpr ScoreRow compensating(PruneScore score, const char* name, const char* summary) {
  return {score, name, summary, true, false, UnitScore::sum, nullptr, nullptr};
}

/// In the order of the enum.
constexpr ScoreRow kRows[] = {
    direct<magnitudes<float>, magnitudes<double>>(PruneScore::magnitude, "magnitude", "|w|", false,
                                                  UnitScore::mean_of_makers),
    direct<random_scores<float>, random_scores<double>>(PruneScore::random, "random", "uniform, by --seed", false,
                                                        UnitScore::first),
    direct<gradient_scores<float>, gradient_scores<double>>(
        PruneScore::gradient, "gradient", "|g w|: first-order change of the loss (Mozer and Smolensky 1988)", true,
        UnitScore::sum_of_makers),
    direct<diagonal_scores<float>, diagonal_scores<double>>(
        PruneScore::obd, "obd", "H_jj w^2 / 2: Optimal Brain Damage (LeCun et al. 1989)", true, UnitScore::sum),
    compensating(PruneScore::obs, "obs",
                 "w^2 / (2 [H^-1]_jj), the others compensate: Optimal Brain Surgeon (Hassibi and Stork 1992)"),
    compensating(PruneScore::kfac_obs, "kfac_obs", "obs on Kronecker factors, for large layers"),
    compensating(PruneScore::fisher, "fisher",
                 "obs on blocks of the empirical Fisher matrix (WoodFisher, Singh and Alistarh 2020)"),
    direct<flat_scores<float>, flat_scores<double>>(
        PruneScore::hsp, "hsp", "Hessian spectral pruning: the share of a parameter in the flattest eigen-directions",
        false, UnitScore::mean),
    direct<flat_scores<float>, flat_scores<double>>(PruneScore::hsp_literal, "hsp_literal",
                                                    "entries of the one eigenvector of the smallest eigenvalue", false,
                                                    UnitScore::mean),
    compensating(PruneScore::hsp_saliency, "hsp_saliency", "obs with the flat eigenvalues replaced by their mean")};

constexpr bool in_order() {
  int place = 0;
  for (const ScoreRow& row : kRows)
    if (static_cast<int>(row.score) != place++) return false;
  return true;
}
static_assert(in_order(), "rows in the order of PruneScore");

template <std::size_t... I>
constexpr bool named_as_the_enum(std::index_sequence<I...>) {
  return ((enumerator_name<static_cast<PruneScore>(I)>() == kRows[I].name) && ...);
}
static_assert(named_as_the_enum(std::make_index_sequence<std::size(kRows)>()),
              "rows are called as PruneScore calls them");
static_assert(enumerator_name<static_cast<PruneScore>(std::size(kRows))>().empty(), "a PruneScore has no row");

}  // namespace

const ScoreRow& row_of(PruneScore score) {
  if (static_cast<std::size_t>(score) >= std::size(kRows))
    throw UsageError("pruning: the score is not a member of the enum");
  return kRows[static_cast<std::size_t>(score)];
}

bool predicts(const RemovalRule& rule) {
  const ScoreRow& row = row_of(rule.score);
  return row.predicts || (row.compensates && rule.compensate);
}

template <class T>
Buffer<double> scores_on_device(Stage<T>& stage) {
  const ScoreRow& row = row_of(stage.rule.score);
  if (row.compensates)
    throw UsageError(
        fmt::format("prune: score {} is no number a parameter; expected one that compensates nothing", row.name));
  if constexpr (std::is_same_v<T, float>)
    return row.in_float(stage);
  else
    return row.in_double(stage);
}

template Buffer<double> scores_on_device(Stage<float>&);
template Buffer<double> scores_on_device(Stage<double>&);

}  // namespace hso::detail

namespace hso {

const std::vector<PruneScoreInfo>& prune_score_table() {
  static const std::vector<PruneScoreInfo> table = [] {
    std::vector<PruneScoreInfo> out;
    for (const detail::ScoreRow& row : detail::kRows) out.push_back({row.name, row.summary, row.compensates});
    return out;
  }();
  return table;
}

bool compensates(PruneScore score) { return detail::row_of(score).compensates; }

}  // namespace hso
