// SPDX-License-Identifier: Apache-2.0
//
// Conjugate gradients and minimal residuals where results come late: iterations queued behind the end change nothing,
// the host waits once in several iterations, and it sends nothing.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/linalg/solvers.hpp"
#include "optim/hso/model_cg.hpp"
#include "support/dense_operator.hpp"
#include "support/late_context.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

/// Waits of a solve beside one for every four iterations: the look that sees the end, and the result.
constexpr Index kAtBothEnds = 2;

/// Eigenvalues from 1e-3 to 1, so that solves take some dozen iterations; `lowest` takes the place of the smallest.
Numbers matrix(Index n, double lowest = 1e-3) {
  Numbers spectrum{lowest};
  for (Index i = 1; i < n; ++i)
    spectrum.push_back(std::pow(10.0, -3.0 + 3.0 * static_cast<double>(i) / static_cast<double>(n - 1)));
  return with_spectrum("decades", spectrum, 11).matrix;
}

struct Found {
  KrylovResult result;
  Numbers x;
  Traffic traffic;
  Index products = 0;
};

using Solver = KrylovResult (*)(LinearOperator<double>&, View<const double>, View<double>,
                                const KrylovOptions<double>&);

template <class On>
Found solve(Solver solver, Index n, const Numbers& a, const Numbers& b, KrylovOptions<double> options, bool helped) {
  On context;
  const auto k = static_cast<Index>(b.size()) / n;
  DenseOperator<double> op(context, n, a);
  Numbers diagonal;
  for (Index i = 0; i < n; ++i) diagonal.push_back(1 / a[static_cast<std::size_t>(i * (n + 1))]);
  DiagonalOperator<double> inverse(context, Span<const double>(diagonal));
  if (helped) options.preconditioner = &inverse;
  const Buffer<double> right(context, b);
  Buffer<double> x(context, b);
  Found out;
  if constexpr (requires { context.traffic; }) context.traffic = {};
  out.result = solver(op, vector_view<const double>(right.data(), n, k), vector_view(x.data(), n, k), options);
  if constexpr (requires { context.traffic; }) out.traffic = context.traffic;
  out.x = x.download();
  out.products = op.products / k;
  return out;
}

class Cpu : public detail::CpuContext {
 public:
  Cpu() : CpuContext(ContextOptions{.tf32 = false, .poison = true}) {}
};

void expect_same(const KrylovResult& late, const KrylovResult& plain) {
  ASSERT_EQ(late.lanes.size(), plain.lanes.size());
  for (std::size_t k = 0; k < plain.lanes.size(); ++k) {
    EXPECT_EQ(late.lanes[k].status, plain.lanes[k].status) << k;
    EXPECT_EQ(late.lanes[k].iterations, plain.lanes[k].iterations) << k;
    EXPECT_EQ(late.lanes[k].residual, plain.lanes[k].residual) << k;
  }
  EXPECT_EQ(late.products, plain.products);
}

void expect_late_is_plain(Solver solver, Index n, const Numbers& a, const Numbers& b,
                          const KrylovOptions<double>& options, bool helped = false) {
  const Found plain = solve<Cpu>(solver, n, a, b, options, helped);
  const Found late = solve<LateContext>(solver, n, a, b, options, helped);
  expect_same(late.result, plain.result);
  EXPECT_EQ(late.x, plain.x);
  EXPECT_EQ(plain.products, plain.result.products);
  EXPECT_LE(late.traffic.waits, late.products / 4 + kAtBothEnds);
  EXPECT_EQ(late.traffic.uploads, 0);
}

/// Lanes that end one after the other: at once, after one iteration, after many, and by negative curvature where
/// there is some.
TEST(LateSolvers, LanesThatHaveEndedStayAsTheyAre) {
  const Index n = 30;
  Numbers b = random_numbers(static_cast<std::size_t>(4 * n), 12);
  std::fill(b.begin(), b.begin() + n, 0);
  for (double lowest : {1e-3, -0.5}) {
    const Numbers a = matrix(n, lowest);
    for (const Solver solver : {Solver(&cg<double>), Solver(&minres<double>)})
      for (const bool start : {false, true}) {
        expect_late_is_plain(solver, n, a, b, {.tolerance = 1e-9, .start_from_x = start});
        expect_late_is_plain(solver, n, a, b, {.tolerance = 1e-9, .max_iterations = 7, .start_from_x = start});
      }
  }
  expect_late_is_plain(&cg<double>, n, matrix(n), b, {.tolerance = 1e-9}, true);
}

TEST(LateSolvers, LongSolvesWaitOnceInFourIterations) {
  const Index n = 200;
  const Numbers a = matrix(n, 1e-6), b = random_numbers(static_cast<std::size_t>(n), 13);
  const Found found = solve<LateContext>(&cg<double>, n, a, b, {.tolerance = 1e-10}, false);
  ASSERT_GT(found.result.lanes[0].iterations, 60);
  EXPECT_LE(found.traffic.waits, found.result.lanes[0].iterations / 4 + kAtBothEnds);
}

TEST(LateSolvers, NumbersThatAreNotFiniteEndALaneInTheSamePlace) {
  const Index n = 10;
  Numbers a = matrix(n), b = random_numbers(static_cast<std::size_t>(3 * n), 7);
  b[12] = std::numeric_limits<double>::infinity();
  const auto statuses = [&](auto on, Solver solver) {
    using On = typename decltype(on)::type;
    std::vector<KrylovStatus> out;
    for (const KrylovLane& lane : solve<On>(solver, n, a, b, {}, false).result.lanes) out.push_back(lane.status);
    return out;
  };
  for (const Solver solver : {Solver(&cg<double>), Solver(&minres<double>)})
    EXPECT_EQ(statuses(std::type_identity<LateContext>{}, solver), statuses(std::type_identity<Cpu>{}, solver));
}

/// The solver of quadratic models, with what it keeps for backtracking.
template <class On>
struct ModelSolve {
  On context;
  detail::ModelCgResult result;
  Numbers x;
  std::vector<Numbers> earlier;

  void run(Index n, const Numbers& a, const Numbers& g, const detail::ModelCgOptions& options, double radius) {
    MatrixOperator<double> op(context, n, device(a).data());
    const Buffer<double> right(context, g);
    detail::ModelCg<double> solver(options);
    solver.make_room(context, n, false);
    for (int repeat = 0; repeat < 2; ++repeat) {  // the second time the solver knows how long the first one took
      if constexpr (requires { context.traffic; }) context.traffic = {};
      result = solver.minimize(op, 1e-4, right.data(), nullptr, nullptr, radius);
    }
    if constexpr (requires { context.traffic; }) waits = context.traffic.waits;
    x = host(solver.x(), n);
    for (const double* kept = solver.earlier(); kept != nullptr; kept = solver.earlier())
      earlier.push_back(host(kept, n));
  }
  Index waits = 0;

 private:
  const Buffer<double>& device(const Numbers& a) { return matrix_ = Buffer<double>(context, a); }
  Numbers host(const double* from, Index n) {
    Numbers out(static_cast<std::size_t>(n));
    context.to_host(from, out.data(), n * static_cast<Index>(sizeof(double)));
    return out;
  }
  Buffer<double> matrix_;
};

TEST(LateSolvers, TheModelsMinimumAndTheIteratesKeptAreTheSame) {
  const Index n = 60;
  const Numbers g = random_numbers(static_cast<std::size_t>(n), 14);
  for (const double lowest : {1e-6, -0.1, -2.0})
    for (const double radius : {0.5, 20.0, double{INFINITY}})
      for (const Index iterations : {Index{5}, Index{250}}) {
        detail::ModelCgOptions o;
        o.iterations = iterations;
        o.kept = std::isfinite(radius) ? 0 : 4;
        ModelSolve<Cpu> plain;
        ModelSolve<LateContext> late;
        plain.run(n, matrix(n, lowest), g, o, radius);
        late.run(n, matrix(n, lowest), g, o, radius);
        EXPECT_EQ(late.result.stop, plain.result.stop);
        EXPECT_EQ(late.result.iterations, plain.result.iterations);
        EXPECT_EQ(late.result.products, plain.result.products);
        EXPECT_EQ(late.result.phi, plain.result.phi);
        EXPECT_EQ(late.result.rayleigh, plain.result.rayleigh);
        EXPECT_EQ(late.result.norm, plain.result.norm);
        EXPECT_EQ(late.x, plain.x);
        EXPECT_EQ(late.earlier, plain.earlier);
        EXPECT_EQ(late.waits, 1) << "the first look comes where the last solve ended";
      }
}

}  // namespace
}  // namespace hso::test
