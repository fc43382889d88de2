// SPDX-License-Identifier: Apache-2.0
//
// Operators made of operators against the matrices they stand for, and conjugate gradients.
#include "hsogpu/linalg/operators.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"

namespace hso::test {
namespace {

class OperatorTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, OperatorTest, testing::ValuesIn(contexts()), device_word);
class CgTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CgTest, testing::ValuesIn(contexts()), device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

/// The operator's matrix against `expected`, entry by entry, in units of n eps of the largest entry.
template <class T>
void expect_matrix(LinearOperator<T>& a, const Numbers& expected) {
  const Index n = a.dimension();
  Buffer<T> h(a.context(), n * n);
  a.to_dense(h.data());
  const Numbers got = widen(h.download());
  double size = 0;
  for (double x : expected) size = std::max(size, std::abs(x));
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 4 * static_cast<double>(n) * kEps<T> * size) << i;
}

TEST_P(OperatorTest, CombinatorsAreTheMatricesTheyName) {
  for_types([&]<class T>() {
    const Index n = 23;
    DenseOperator<T> a(context(), n, random_symmetric(n, 1)), b(context(), n, random_symmetric(n, 2));
    MatrixOperator<T> plain(context(), n, a.data());
    expect_matrix(plain, a.host());

    AffineOperator<T> affine(a, -0.5, 3);
    Numbers expected = a.host();
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = -0.5 * expected[i] + (i % 24 == 0 ? 3 : 0);
    expect_matrix(affine, expected);

    SumOperator<T> sum({{a, 2}, {b, -1}, {a, 0.25}});
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = 2.25 * a.host()[i] - b.host()[i];
    expect_matrix(sum, expected);

    const Numbers d = random_numbers(static_cast<std::size_t>(n), 3);
    DiagonalOperator<T> diagonal(context(), Span<const T>(narrow<T>(d)));
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = i % 24 == 0 ? d[i / 24] : 0;
    expect_matrix(diagonal, expected);
  });
}

TEST_P(OperatorTest, LowRankPlusShift) {
  for_types([&]<class T>() {
    const Index n = 11, r = 3;
    const Numbers v = random_numbers(static_cast<std::size_t>(n * r), 4), d{2, -1, 0.5};
    const Buffer<T> vectors(context(), Span<const T>(narrow<T>(v)));
    LowRankOperator<T> a(context(), n, vectors.data(), d, 0.75);
    Numbers expected(static_cast<std::size_t>(n * n));
    for (std::size_t i = 0; i < 11; ++i)
      for (std::size_t j = 0; j < 11; ++j) {
        expected[i * 11 + j] = i == j ? 0.75 : 0;
        for (std::size_t k = 0; k < 3; ++k) expected[i * 11 + j] += d[k] * v[k * 11 + i] * v[k * 11 + j];
      }
    expect_matrix(a, expected);
    LowRankOperator<T> none(context(), n, nullptr, {}, 2);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = i % 12 == 0 ? 2 : 0;
    expect_matrix(none, expected);
  });
}

TEST_P(OperatorTest, RestrictionsPickRowsAndColumns) {
  for_types([&]<class T>() {
    const Index n = 17;
    DenseOperator<T> a(context(), n, random_symmetric(n, 5));
    const std::vector<Index> chosen{16, 0, 5, 6};
    RestrictedOperator<T> some(a, chosen);
    Numbers expected;
    for (Index i : chosen)
      for (Index j : chosen) expected.push_back(a.host()[static_cast<std::size_t>(i * n + j)]);
    expect_matrix(some, expected);

    RestrictedOperator<T> block(a, IndexRange{3, 9});
    EXPECT_EQ(block.dimension(), 6);
    BlockDiagonalOperator<T> blocks(a, {{9, 17}, {0, 4}});
    expected.assign(static_cast<std::size_t>(n * n), 0);
    for (std::size_t i = 0; i < 17; ++i)
      for (std::size_t j = 0; j < 17; ++j)
        if ((i < 4 && j < 4) || (i >= 9 && j >= 9)) expected[i * 17 + j] = a.host()[i * 17 + j];
    expect_matrix(blocks, expected);
  });
}

TEST_P(OperatorTest, LanesMayBeBroadcastOrFarApart) {
  DenseOperator<double> a(context(), 9, random_symmetric(9, 6));
  MatrixOperator<double> plain(context(), 9, a.data());
  const Buffer<double> v(context(), random_numbers(3 * 14, 7));
  Buffer<double> one(context(), 9), wide(context(), 3 * 12), same(context(), 27);
  plain.apply(vector_view<const double>(v.data() + 14, 9), one.view());
  plain.apply(vector_view<const double>(v.data(), 9, 3, 14), vector_view(wide.data(), 9, 3, 12));
  plain.apply(vector_view<const double>(v.data() + 14, 9, 3, 0), vector_view(same.data(), 9, 3));
  const Numbers expected = one.download(), far = wide.download(), broadcast = same.download();
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(far[12 + i], expected[i], 1e-14);
    for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(broadcast[9 * k + i], expected[i], 1e-14);
  }
}

TEST_P(OperatorTest, WhatDoesNotFitIsRefused) {
  DenseOperator<double> a(context(), 4, random_symmetric(4, 1)), b(context(), 5, random_symmetric(5, 1));
  EXPECT_TRUE(contains(message_of<InputError>([&] { SumOperator<double>({{a, 1}, {b, 1}}); }), "4 and 5"));
  EXPECT_THROW(SumOperator<double>({}), UsageError);
  EXPECT_THROW(RestrictedOperator<double>(a, std::vector<Index>{0, 4}), InputError);
  EXPECT_THROW(RestrictedOperator<double>(a, std::vector<Index>{1, 1}), InputError);
  EXPECT_THROW(BlockDiagonalOperator<double>(a, {{0, 2}, {1, 3}}), InputError);
  EXPECT_THROW(BlockDiagonalOperator<double>(a, {{2, 5}}), InputError);
  Buffer<double> v(context(), 10);
  MatrixOperator<double> plain(context(), 4, a.data());
  EXPECT_THROW(plain.apply(vector_view<const double>(v.data(), 5), vector_view(v.data(), 5)), InputError);
}

/// Differs from call to call, as an operator whose data is shuffled between products does.
class Restless final : public LinearOperator<double> {
 public:
  explicit Restless(DenseOperator<double>& a) : a_(a) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const double> v, View<double> hv) override {
    AffineOperator<double>(a_, 1, 1e-3 * ++calls_).apply(v, hv);
  }

 private:
  DenseOperator<double>& a_;
  int calls_ = 0;
};

TEST_P(OperatorTest, InconsistentOperatorsAreFound) {
  DenseOperator<double> good(context(), 30, random_symmetric(30, 8));
  EXPECT_NO_THROW(require_consistent(good));
  Numbers skewed = random_symmetric(30, 8);
  skewed[1] += 0.1;
  DenseOperator<double> skew(context(), 30, skewed);
  EXPECT_TRUE(contains(message_of<NumericalError>([&] { require_consistent(skew); }), "not symmetric"));
  Restless restless(good);
  EXPECT_TRUE(contains(message_of<NumericalError>([&] { require_consistent(restless); }), "two products"));
}

/// A = B'B + I for a random B: condition about 4 n.
Numbers positive_definite(Index n, std::uint64_t seed) {
  const auto m = static_cast<std::size_t>(n);
  const Numbers b = random_numbers(m * m, seed);
  Numbers a(m * m);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j) {
      a[i * m + j] = i == j ? 1 : 0;
      for (std::size_t k = 0; k < m; ++k) a[i * m + j] += b[k * m + i] * b[k * m + j];
    }
  return a;
}

TEST_P(CgTest, SolvesManyRightHandSidesAtOnce) {
  for_types([&]<class T>() {
    const Index n = 40, k = 5;
    DenseOperator<T> a(context(), n, positive_definite(n, 1));
    Numbers b = random_numbers(static_cast<std::size_t>(n * k), 2);
    std::fill(b.begin() + 2 * n, b.begin() + 3 * n, 0);  // lane 2: b = 0
    const Buffer<T> right(context(), Span<const T>(narrow<T>(b)));
    Buffer<T> x(context(), n * k), ax(context(), n * k);
    const double tolerance = sizeof(T) == 8 ? 1e-10 : 1e-4;
    const KrylovResult r =
        cg(a, vector_view<const T>(right.data(), n, k), vector_view(x.data(), n, k), {.tolerance = tolerance});
    ASSERT_TRUE(r.converged());
    a.apply(vector_view<const T>(x.data(), n, k), vector_view(ax.data(), n, k));
    const Numbers got = widen(ax.download());
    for (std::size_t lane = 0; lane < 5; ++lane) {
      double error = 0, size = 0;
      for (std::size_t i = lane * 40; i < lane * 40 + 40; ++i) {
        error += (got[i] - b[i]) * (got[i] - b[i]);
        size += b[i] * b[i];
      }
      EXPECT_LE(std::sqrt(error), 3 * tolerance * std::sqrt(size)) << lane;
    }
    EXPECT_EQ(r.lanes[2].iterations, 0);
    EXPECT_GT(r.lanes[0].iterations, 5);
  });
}

TEST_P(CgTest, TakesAtMostNStepsAndOneWithTheInverseAsPreconditioner) {
  const Index n = 12;
  DenseOperator<double> a(context(), n, positive_definite(n, 3));
  const Buffer<double> b(context(), random_numbers(12, 4));
  Buffer<double> x(context(), n);
  const KrylovResult plain = cg(a, b.view(), x.view(), {.tolerance = 1e-8});
  EXPECT_TRUE(plain.converged());
  EXPECT_LE(plain.lanes[0].iterations, n + 1);
  InverseOperator<double> inverse(a, {.tolerance = 1e-13});
  const KrylovResult helped = cg(a, b.view(), x.view(), {.tolerance = 1e-8, .preconditioner = &inverse});
  EXPECT_TRUE(helped.converged());
  EXPECT_EQ(helped.lanes[0].iterations, 1);
  const KrylovResult again = cg(a, b.view(), x.view(), {.tolerance = 1e-7, .start_from_x = true});
  EXPECT_EQ(again.lanes[0].iterations, 0);
}

TEST_P(CgTest, SaysWhyItStopped) {
  const Index n = 8;
  Numbers d(64);
  for (std::size_t i = 0; i < 8; ++i) d[9 * i] = i == 3 ? -1 : static_cast<double>(i + 1);
  DenseOperator<double> indefinite(context(), n, d);
  Buffer<double> b(context(), Numbers(8, 1)), x(context(), n);
  const auto status = [&](LinearOperator<double>& a, KrylovOptions<double> o) {
    return cg(a, View<const double>(b.view()), x.view(), o).lanes[0].status;
  };
  EXPECT_EQ(status(indefinite, {}), KrylovStatus::negative_curvature);
  DenseOperator<double> definite(context(), n, positive_definite(n, 5));
  EXPECT_EQ(status(definite, {.tolerance = 1e-12, .max_iterations = 2}), KrylovStatus::max_iterations);
  Numbers broken = d;
  broken[0] = std::numeric_limits<double>::quiet_NaN();
  DenseOperator<double> nan(context(), n, broken);
  EXPECT_EQ(status(nan, {}), KrylovStatus::not_finite);
  for (double value : x.download()) EXPECT_TRUE(std::isfinite(value));
  EXPECT_THROW(status(definite, {.tolerance = 0}), UsageError);
  InverseOperator<double> inverse(indefinite);
  EXPECT_TRUE(contains(message_of<NumericalError>([&] { inverse.apply(b.view(), x.view()); }), "negative_curvature"));
}

TEST_P(CgTest, AZeroRightHandSideGivesZeroFromAnyStart) {
  DenseOperator<double> a(context(), 6, positive_definite(6, 9));
  const Buffer<double> b(context(), Numbers(6, 0));
  Buffer<double> x(context(), Numbers(6, 2.5));
  const KrylovResult r = cg(a, b.view(), x.view(), {.start_from_x = true});
  EXPECT_TRUE(r.converged());
  EXPECT_EQ(x.download(), Numbers(6, 0));
}

// ---- minimal residuals ----

TEST_P(CgTest, MinimalResidualsSolveIndefiniteSystems) {
  for_types([&]<class T>() {
    const Index n = 40, k = 3;
    DenseOperator<T> a(context(), n, random_symmetric(n, 8));
    const std::vector<T> right = narrow<T>(random_numbers(static_cast<std::size_t>(n * k), 3));
    const Buffer<T> b(context(), Span<const T>(right));
    Buffer<T> x(context(), n * k), ax(context(), n * k);
    const double tolerance = sizeof(T) == 8 ? 1e-10 : 1e-4;
    const KrylovResult r =
        minres<T>(a, vector_view<const T>(b.data(), n, k), vector_view(x.data(), n, k), {.tolerance = tolerance});
    ASSERT_TRUE(r.converged()) << name_of(r.lanes[0].status) << r.lanes[0].residual;
    a.apply(vector_view<const T>(x.data(), n, k), vector_view(ax.data(), n, k));
    const Numbers found = widen(ax.download()), expected = widen(right);
    for (Index lane = 0; lane < k; ++lane) {
      double error = 0, size = 0;
      for (Index i = lane * n; i < (lane + 1) * n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        error += (found[at] - expected[at]) * (found[at] - expected[at]);
        size += expected[at] * expected[at];
      }
      EXPECT_LE(std::sqrt(error / size), 3 * tolerance);
      EXPECT_NEAR(std::sqrt(error / size), r.lanes[static_cast<std::size_t>(lane)].residual, tolerance);
    }
    InverseOperator<T> inverse(a, {.tolerance = tolerance}, KrylovMethod::minres);
    inverse.apply(vector_view<const T>(b.data(), n), vector_view(x.data(), n));
    EXPECT_GT(inverse.products(), 0);
  });
}

/// A = diag(1, -1, 2, 0, 0): a right-hand side in the range is solved although A is singular; one outside is not.
TEST_P(CgTest, MinimalResidualsOfASingularMatrix) {
  DiagonalOperator<double> a(context(), Span<const double>(Numbers{1, -1, 2, 0, 0}));
  const Buffer<double> b(context(), Numbers{1, 2, 3, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0});
  Buffer<double> x(context(), 15);
  const KrylovResult r =
      minres<double>(a, vector_view<const double>(b.data(), 5, 3), vector_view(x.data(), 5, 3), {.tolerance = 1e-12});
  EXPECT_EQ(r.lanes[0].status, KrylovStatus::converged);
  EXPECT_LE(r.lanes[0].iterations, 3);
  const Numbers solution = x.download();
  EXPECT_NEAR(solution[0], 1, 1e-12);
  EXPECT_NEAR(solution[1], -2, 1e-12);
  EXPECT_NEAR(solution[2], 1.5, 1e-12);
  EXPECT_NE(r.lanes[1].status, KrylovStatus::converged);
  EXPECT_NEAR(r.lanes[1].residual, 4 / std::sqrt(30.0), 1e-9);  // what is outside the range stays
  EXPECT_EQ(r.lanes[2].status, KrylovStatus::converged);
  EXPECT_EQ(r.lanes[2].iterations, 0);
  DiagonalOperator<double> m(context(), Span<const double>(Numbers(5, 1)));
  EXPECT_THROW(
      minres<double>(a, vector_view<const double>(b.data(), 5), vector_view(x.data(), 5), {.preconditioner = &m}),
      UsageError);
}

/// A lane that cannot be solved does not disturb its neighbours.
TEST_P(CgTest, LanesFailAlone) {
  const Index n = 10;
  DenseOperator<double> a(context(), n, positive_definite(n, 6));
  Numbers b = random_numbers(30, 7);
  b[12] = std::numeric_limits<double>::infinity();
  const Buffer<double> right(context(), b);
  Buffer<double> x(context(), 30);
  const KrylovResult r = cg(a, vector_view<const double>(right.data(), n, 3), vector_view(x.data(), n, 3), {});
  EXPECT_EQ(r.lanes[0].status, KrylovStatus::converged);
  EXPECT_EQ(r.lanes[1].status, KrylovStatus::not_finite);
  EXPECT_EQ(r.lanes[2].status, KrylovStatus::converged);
}

}  // namespace
}  // namespace hso::test
