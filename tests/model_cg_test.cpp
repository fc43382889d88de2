// SPDX-License-Identifier: Apache-2.0
//
// Conjugate gradients on quadratic models, on systems worked by hand: iterations, trust region, kept iterates.
#include "optim/hso/model_cg.hpp"

#include <gtest/gtest.h>

#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

using detail::ModelCg;
using detail::ModelCgOptions;
using detail::ModelCgResult;
using detail::ModelCgStop;

class ModelCgTest : public OnDevice {
 protected:
  /// A system on the device, solved from x = 0 or `start`.
  struct Solved {
    ModelCgResult result;
    Numbers x;
  };
  Solved solve(const Numbers& a, const Numbers& g, const ModelCgOptions& options = {},
               double radius = std::numeric_limits<double>::infinity(), const Numbers& inverse = {},
               const Numbers& start = {}) {
    const Index n = static_cast<Index>(g.size());
    const Buffer<double> matrix(context(), a), rhs(context(), g), first(context(), start.empty() ? g : start);
    MatrixOperator<double> op(context(), n, matrix.data());
    DiagonalOperator<double> m(context(), Span<const double>(inverse.empty() ? g : inverse));
    ModelCg<double> cg(options);
    cg.make_room(context(), n, true);
    Solved out;
    out.result =
        cg.minimize(op, 0, rhs.data(), inverse.empty() ? nullptr : &m, start.empty() ? nullptr : first.data(), radius);
    out.x = download(cg.x(), n);
    return out;
  }
  Numbers download(const double* x, Index n) {
    Numbers out(static_cast<std::size_t>(n));
    context().to_host(x, out.data(), n * static_cast<Index>(sizeof(double)));
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, ModelCgTest, testing::ValuesIn(contexts()), device_word);

double phi(const Numbers& a, const Numbers& g, const Numbers& x) {
  return dot(g, x) + dot(x, multiply(a, x, static_cast<Index>(x.size()), static_cast<Index>(x.size()), 1)) / 2;
}

TEST_P(ModelCgTest, QuadraticsAreSolvedInAtMostAsManyIterationsAsUnknowns) {
  const SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8}, 4);
  const Numbers g = random_numbers(6, 5);
  for (const Numbers& inverse : {Numbers{}, Numbers{0.3, 1, 2, 0.5, 1, 3}}) {
    const Solved s = solve(c.matrix, g, {.tolerance = 1e-9, .progress = 0}, INFINITY, inverse);
    EXPECT_EQ(s.result.stop, ModelCgStop::residual);
    EXPECT_LE(s.result.iterations, 6);
    EXPECT_EQ(s.result.products, s.result.iterations);
    const Numbers ax = multiply(c.matrix, s.x, c.n, c.n, 1);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(ax[i], -g[i], 1e-8);
    EXPECT_NEAR(s.result.phi, phi(c.matrix, g, s.x), 1e-12 * std::abs(s.result.phi));
    EXPECT_LE(s.result.rayleigh, 8 * (1 + 1e-12));
    EXPECT_GE(s.result.rayleigh, 0.5);
    // Started where it ended, there is nothing left to do.
    const Solved again = solve(c.matrix, g, {.tolerance = 1e-8}, INFINITY, inverse, s.x);
    EXPECT_EQ(again.result.iterations, 0);
    EXPECT_NEAR(again.result.phi, s.result.phi, 1e-12 * std::abs(s.result.phi));
  }
}

/// As many conjugate directions as unknowns determine the inverse, and A x follows from the residual.
TEST_P(ModelCgTest, TheDirectionsOfAWholeSolveMakeTheInverse) {
  const SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8}, 4);
  const Numbers g = random_numbers(6, 5);
  const double delta = 0.25;
  const Buffer<double> matrix(context(), c.matrix), rhs(context(), g);
  MatrixOperator<double> a(context(), 6, matrix.data());
  detail::LbfgsInverse<double> pairs(12);  // half of them from one solve
  pairs.make_room(context(), 6);
  ModelCg<double> cg({.iterations = 9, .tolerance = 1e-12, .progress = 0});
  cg.make_room(context(), 6, true);
  cg.collect(pairs);
  cg.minimize(a, delta, rhs.data(), nullptr, nullptr);
  const Numbers x = download(cg.x(), 6), ax = multiply(c.matrix, x, 6, 6, 1);
  Buffer<double> product(context(), 6);
  cg.product(product.data());
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(product.download()[i], ax[i], 1e-13);
  ASSERT_TRUE(pairs.renew(delta));
  const Numbers v = random_numbers(6, 8);
  Numbers av = multiply(c.matrix, v, 6, 6, 1);
  for (std::size_t i = 0; i < 6; ++i) av[i] += delta * v[i];
  const Buffer<double> from(context(), av);
  pairs.apply(vector_view<const double>(from.data(), 6), product.view());
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(product.download()[i], v[i], 1e-9);
  // The next solve is over at once.
  EXPECT_LE(cg.minimize(a, delta, rhs.data(), &pairs, nullptr).iterations, 2);
}

/// A condition number of 1e8: the residual needs hundreds of iterations, the model is as good as it gets long before.
TEST_P(ModelCgTest, SolvesEndWhereTheModelStopsFalling) {
  const Index n = 120;
  Numbers a(static_cast<std::size_t>(n * n)), g(static_cast<std::size_t>(n));
  double least = 0;
  for (Index i = 0; i < n; ++i) {
    const double lambda = std::pow(10.0, -8.0 * static_cast<double>(i) / static_cast<double>(n - 1));
    a[static_cast<std::size_t>(i * n + i)] = lambda;
    g[static_cast<std::size_t>(i)] = lambda;
    least -= lambda / 2;
  }
  const Solved s = solve(a, g, {.iterations = 1000, .tolerance = 1e-12});
  EXPECT_EQ(s.result.stop, ModelCgStop::progress);
  EXPECT_LT(s.result.iterations, 60);
  EXPECT_LT(s.result.phi, 0.85 * least);
  const Solved on = solve(a, g, {.iterations = 1000, .tolerance = 1e-12, .progress = 0});
  EXPECT_GT(on.result.iterations, s.result.iterations);
}

/// min g'x + x'Ax/2 over |x| <= radius where the answer is plain.
TEST_P(ModelCgTest, TruncatedSolvesAreTheBoundarySolutionsWorkedByHand) {
  // g along an eigenvector: the Newton point (0, 2) is outside, the answer is on the same ray.
  expect_near(solve({1, 0, 0, 3}, {0, -6}, {}, 1).x, {0, 1}, 1e-15);
  // A multiple of I: against g.
  expect_near(solve({2, 0, 0, 2}, {3, -4}, {}, 0.5).x, {-0.3, 0.4}, 1e-15);
  // Inside the region: the Newton point.
  const Solved inside = solve({1, 0, 0, 4}, {-1, -4}, {.tolerance = 1e-14}, 2);
  expect_near(inside.x, {1, 1}, 1e-14);
  EXPECT_EQ(inside.result.stop, ModelCgStop::residual);
  // First iterate (17/65)(1, 4) inside, Newton point (1, 1) outside |x| = 1.2: the point of the segment between them
  // at that distance, from (1 - t) c + t (1, 1) with |.| = 1.2 solved for t.
  const double c0 = 17.0 / 65, c1 = 68.0 / 65, d0 = 1 - c0, d1 = 1 - c1;
  const double qa = d0 * d0 + d1 * d1, qb = c0 * d0 + c1 * d1, qc = c0 * c0 + c1 * c1 - 1.44;
  const double t = (-qb + std::sqrt(qb * qb - qa * qc)) / qa;
  const Solved cut = solve({1, 0, 0, 4}, {-1, -4}, {}, 1.2);
  EXPECT_EQ(cut.result.stop, ModelCgStop::boundary);
  EXPECT_EQ(cut.result.iterations, 2);
  expect_near(cut.x, {c0 + t * d0, c1 + t * d1}, 1e-14);
  EXPECT_NEAR(cut.result.norm, 1.2, 1e-14);
  EXPECT_NEAR(cut.result.phi, phi({1, 0, 0, 4}, {-1, -4}, cut.x), 1e-14);
}

TEST_P(ModelCgTest, NegativeCurvatureIsFollowedToTheBoundary) {
  expect_near(solve({1, 0, 0, -1}, {0, -1}, {}, 3).x, {0, 3}, 1e-15);
  // Zero curvature, too.
  expect_near(solve({0, 0, 0, 0}, {3, -4}, {}, 5).x, {-3, 4}, 1e-14);
  const Solved s = solve({4, 0, 0, -1}, {-4, -1}, {}, 3);
  EXPECT_EQ(s.result.stop, ModelCgStop::boundary);
  EXPECT_NEAR(dot(s.x, s.x), 9, 1e-13);
  EXPECT_LT(s.result.phi, -4);  // the negative direction alone gives -(3 + 9/2) at most, the other -2
  // Without a region there is no answer, and the iterate before is kept.
  const Solved none = solve({1, 0, 0, -1}, {0, -1});
  EXPECT_EQ(none.result.stop, ModelCgStop::negative_curvature);
  expect_near(none.x, {0, 0}, 0);
}

/// With a preconditioner M^-1 the region is x'Mx <= radius^2.
TEST_P(ModelCgTest, TheRegionIsInThePreconditionersNorm) {
  const SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8}, 4);
  const Numbers inverse{0.3, 1, 2, 0.5, 1, 3};
  for (double radius : {0.1, 0.5, 1.0}) {
    const Solved s = solve(c.matrix, random_numbers(6, 5), {}, radius, inverse);
    ASSERT_EQ(s.result.stop, ModelCgStop::boundary);
    double norm = 0;
    for (std::size_t i = 0; i < 6; ++i) norm += s.x[i] * s.x[i] / inverse[i];
    EXPECT_NEAR(std::sqrt(norm), radius, 1e-12);
  }
}

TEST_P(ModelCgTest, KeptIteratesAreTheLastOfTheGrowingOnes) {
  const SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55}, 4);
  const Buffer<double> matrix(context(), c.matrix), g(context(), random_numbers(10, 5));
  MatrixOperator<double> a(context(), 10, matrix.data());
  ModelCg<double> cg({.iterations = 9, .progress = 0, .kept = 3});
  cg.make_room(context(), 10, false);
  cg.minimize(a, 0.1, g.data(), nullptr, nullptr);
  for (int at : {8, 6, 4}) {  // of 1, 2, 3, 4, 6, 8
    const double* x = cg.earlier();
    ASSERT_NE(x, nullptr);
    ModelCg<double> shorter({.iterations = at, .progress = 0, .kept = 0});
    shorter.make_room(context(), 10, false);
    shorter.minimize(a, 0.1, g.data(), nullptr, nullptr);
    EXPECT_EQ(download(x, 10), download(shorter.x(), 10)) << at;
  }
  EXPECT_EQ(cg.earlier(), nullptr);
}

}  // namespace
}  // namespace hso::test
