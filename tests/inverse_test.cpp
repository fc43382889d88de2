// SPDX-License-Identifier: Apache-2.0
//
// Cholesky, solve, inverse and what is reported about them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "linalg/memory_needs.hpp"
#include "support/contexts.hpp"
#include "support/symmetric.hpp"

namespace hso {
namespace {

using test::SymmetricCase;
using test::with_spectrum;

constexpr double kUnits = 30;

class InverseTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, InverseTest, testing::ValuesIn(test::contexts()), test::device_word);

template <class T>
std::vector<T> cast(const std::vector<double>& from) {
  return std::vector<T>(from.begin(), from.end());
}

template <class T>
View<T> square(Buffer<T>& buffer, Index n) {
  return buffer.view().reshaped({n, n});
}

/// n values from low to high, evenly in their logarithms; the first `negative` with the other sign.
std::vector<double> spectrum(Index n, double low, double high, Index negative = 0) {
  std::vector<double> values;
  for (Index i = 0; i < n; ++i) {
    const double t = n == 1 ? 0 : static_cast<double>(i) / static_cast<double>(n - 1);
    values.push_back((i < negative ? -1 : 1) * low * std::pow(high / low, t));
  }
  return values;
}

/// max |A X - I| of what came back, by a plain product.
template <class T>
double distance_from_identity(const std::vector<T>& a, const std::vector<T>& x, Index n) {
  std::vector<double> product = test::multiply({a.begin(), a.end()}, {x.begin(), x.end()}, n, n, n);
  for (Index i = 0; i < n; ++i) product[static_cast<std::size_t>(i * n + i)] -= 1;
  return test::largest(product);
}

TEST(SpectrumTest, InertiaRankAndCondition) {
  const std::vector<double> values{-4, -1e-9, 0, 1e-9, 2, 8};
  const SpectrumSummary s = summarize_spectrum(values, 1e-8);
  EXPECT_EQ(s.inertia, (Inertia{2, 3, 1}));
  EXPECT_EQ(s.rank, 3);
  EXPECT_EQ(s.largest, 8);
  EXPECT_DOUBLE_EQ(s.tolerance, 8e-8);
  EXPECT_TRUE(std::isinf(s.condition));
  EXPECT_DOUBLE_EQ(summarize_spectrum(std::vector<double>{-4, 8}, 0).condition, 2);
  EXPECT_EQ(summarize_spectrum(std::vector<double>{}, 1).rank, 0);
}

TEST_P(InverseTest, CholeskyReportsTheMinor) {
  test::for_types([&]<class T>() {
    Buffer<T> a(context(), std::vector<T>{4, 2, 2, 1}), b(context(), std::vector<T>{4, 2, 2, 5});
    const CholeskyResult singular = cholesky(context(), square(a, 2));
    EXPECT_EQ(singular.status, LinalgStatus::not_positive_definite);
    EXPECT_EQ(singular.minor, 2);
    EXPECT_EQ(cholesky(context(), square(b, 2)).status, LinalgStatus::ok);
    const auto factor = b.download();
    EXPECT_EQ(factor[0], T(2));
    EXPECT_EQ(factor[2], T(1));
    EXPECT_EQ(factor[3], T(2));
  });
}

TEST_P(InverseTest, FromSpectrumRebuildsTheMatrix) {
  test::for_types([&]<class T>() {
    const SymmetricCase c = with_spectrum("indefinite", spectrum(30, 0.5, 3, 11), 1);
    Buffer<T> v(context(), cast<T>(c.matrix)), rebuilt(context(), c.n * c.n);
    const EighResult r = eigh(context(), square(v, c.n));
    from_spectrum<T>(context(), c.n, v.data(), r.values, rebuilt.data());
    const auto got = rebuilt.download();
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(static_cast<double>(got[i]), c.matrix[i], kUnits * spectrum_tolerance<T>(c.n) * 3);
  });
}

template <class T>
void expect_inverse(Context& context, const SymmetricCase& c, InverseRoute asked, InverseRoute taken, Inertia inertia) {
  SCOPED_TRACE(c.name);
  const std::vector<T> matrix = cast<T>(c.matrix);
  Buffer<T> a(context, matrix);
  const InverseReport r = inverse(context, square(a, c.n), {.route = asked});
  ASSERT_EQ(r.status, LinalgStatus::ok) << name_of(r.status);
  EXPECT_EQ(r.route, taken);
  EXPECT_EQ(r.inertia, inertia);
  EXPECT_EQ(r.rank, c.n);
  EXPECT_EQ(r.fallbacks.empty(), asked == taken || taken == InverseRoute::cholesky);
  const double condition =
      std::abs(test::largest(c.values) / *std::min_element(c.values.begin(), c.values.end(), [](double x, double y) {
                 return std::abs(x) < std::abs(y);
               }));
  EXPECT_GE(r.condition, 0.99 * condition);
  EXPECT_LE(r.condition, 1.01 * condition * static_cast<double>(c.n));
  EXPECT_LE(r.residual_units, kUnits * condition);
  EXPECT_NEAR(r.residual, distance_from_identity(matrix, a.download(), c.n),
              kUnits * spectrum_tolerance<T>(c.n) * condition);
  EXPECT_NEAR(r.residual_units * spectrum_tolerance<T>(c.n), r.residual, 1e-12);
}

TEST_P(InverseTest, BothRoutesOfDefiniteAndIndefiniteMatrices) {
  using enum InverseRoute;
  test::for_types([&]<class T>() {
    for (Index n : {1, 2, 3, 5, 20, 100})
      for (double scale : {1.0, 1e-30, 1e30}) {
        const SymmetricCase definite = with_spectrum("definite", spectrum(n, scale, 50 * scale), 2);
        expect_inverse<T>(context(), definite, automatic, cholesky, {n, 0, 0});
        expect_inverse<T>(context(), definite, cholesky, cholesky, {n, 0, 0});
        expect_inverse<T>(context(), definite, eigen, eigen, {n, 0, 0});
        const Index negative = (n + 1) / 2;
        const SymmetricCase indefinite = with_spectrum("indefinite", spectrum(n, scale, 50 * scale, negative), 3);
        expect_inverse<T>(context(), indefinite, automatic, eigen, {n - negative, 0, negative});
      }
  });
}

TEST_P(InverseTest, WithoutSuccessTheMatrixIsKept) {
  test::for_types([&]<class T>() {
    const std::vector<T> indefinite{1, 2, 2, 1}, singular{1, 1, 1, 1}, zero{0, 0, 0, 0};
    Buffer<T> a(context(), indefinite);
    EXPECT_EQ(inverse(context(), square(a, 2), {.route = InverseRoute::cholesky}).status,
              LinalgStatus::not_positive_definite);
    EXPECT_EQ(a.download(), indefinite);
    for (const std::vector<T>& matrix : {singular, zero}) {
      a.upload(matrix);
      const InverseReport r = inverse(context(), square(a, 2));
      EXPECT_EQ(r.status, LinalgStatus::singular);
      EXPECT_EQ(r.rank, matrix == singular ? 1 : 0);
      EXPECT_EQ(r.inertia.zero, 2 - r.rank);
      EXPECT_EQ(a.download(), matrix);
    }
    const T tiny = std::numeric_limits<T>::denorm_min();
    const std::vector<T> reciprocal_overflows{tiny, 0, 0, tiny};
    a.upload(reciprocal_overflows);
    EXPECT_EQ(inverse(context(), square(a, 2)).status, LinalgStatus::not_finite);
    EXPECT_EQ(a.download(), reciprocal_overflows);
  });
}

TEST_P(InverseTest, PseudoInverseKeepsTheRank) {
  test::for_types([&]<class T>() {
    std::vector<double> values = spectrum(12, 1, 10, 4);
    values.resize(20, 0.0);
    const SymmetricCase c = with_spectrum("rank 12 of 20", values, 4);
    Buffer<T> a(context(), cast<T>(c.matrix));
    const InverseReport r = inverse(context(), square(a, c.n), {.pseudo = true, .tolerance = 1e-4});
    ASSERT_EQ(r.status, LinalgStatus::ok);
    EXPECT_EQ(r.inertia, (Inertia{8, 8, 4}));
    EXPECT_EQ(r.rank, 12);
    EXPECT_LE(r.residual_units, kUnits * 10);
    Buffer<T> again(context(), a.download());
    const EighResult back = eigh(context(), square(again, c.n));
    EXPECT_EQ(summarize_spectrum(back.values, 1e-4).rank, 12);
    Buffer<T> zero(context(), std::vector<T>{0, 0, 0, 0});
    EXPECT_EQ(inverse(context(), square(zero, 2), {.pseudo = true}).status, LinalgStatus::ok);
  });
}

template <class T>
void expect_solution(Context& context, const SymmetricCase& c, bool definite) {
  SCOPED_TRACE(c.name + " n = " + std::to_string(c.n));
  const Index nrhs = 3;
  const std::vector<T> matrix = cast<T>(c.matrix), b = test::normal_numbers<T>(nrhs * c.n, 5);
  Buffer<T> a(context, matrix), x(context, b);
  const SolveReport r = solve(context, square(a, c.n), x.view().reshaped({nrhs, c.n}));
  ASSERT_EQ(r.status, LinalgStatus::ok);
  EXPECT_EQ(r.minor == 0, definite);
  EXPECT_EQ(r.fallbacks.empty(), definite);
  EXPECT_LE(r.residual, kUnits);
  EXPECT_EQ(a.download(), matrix);
  const auto solution = x.download();
  const std::vector<double> back =
      test::multiply({solution.begin(), solution.end()}, {matrix.begin(), matrix.end()}, nrhs, c.n, c.n);
  const double scale =
      static_cast<double>(c.n) * test::largest(c.matrix) * test::largest({solution.begin(), solution.end()}) + 5;
  for (std::size_t i = 0; i < b.size(); ++i)
    ASSERT_NEAR(back[i], static_cast<double>(b[i]), kUnits * spectrum_tolerance<T>(c.n) * scale);
}

TEST_P(InverseTest, SolutionsOfDefiniteAndIndefiniteSystems) {
  test::for_types([&]<class T>() {
    for (Index n : {1, 2, 5, 20, 100}) {
      expect_solution<T>(context(), with_spectrum("definite", spectrum(n, 1e-25, 1e-22), 6), true);
      expect_solution<T>(context(), with_spectrum("definite", spectrum(n, 1, 1e3), 6), true);
      expect_solution<T>(context(), with_spectrum("indefinite", spectrum(n, 1, 1e3, (n + 1) / 2), 7), false);
    }
  });
}

TEST_P(InverseTest, APivotThatFloatCannotTellFromRoundingIsTriedInFloat64) {
  const float b = 1 - 0x1p-24f;  // the second pivot is 1 - b^2 = 2^-23, an ulp of the diagonal
  Buffer<float> a(context(), std::vector<float>{1, b, b, 1}), x(context(), std::vector<float>{1, 1});
  const SolveReport r = solve(context(), square(a, 2), x.view().reshaped({1, 2}));
  ASSERT_EQ(r.status, LinalgStatus::ok);
  EXPECT_EQ(r.minor, 2);
  EXPECT_EQ(r.fallbacks, (std::vector<std::string>{"float64"}));
  for (float v : x.download()) EXPECT_FLOAT_EQ(v, 0.5f);  // 1 / (1 + b)
}

TEST_P(InverseTest, SingularSystemsKeepTheRightHandSide) {
  test::for_types([&]<class T>() {
    const std::vector<T> b{1, 2};
    Buffer<T> a(context(), std::vector<T>{1, 1, 1, 1}), x(context(), b);
    const SolveReport r = solve(context(), square(a, 2), x.view().reshaped({1, 2}));
    EXPECT_EQ(r.status, LinalgStatus::singular);
    EXPECT_EQ(r.minor, 2);
    EXPECT_EQ(x.download(), b);
  });
}

/// An indefinite matrix meets every attempt: the arena keeps what each of them took.
TEST_P(InverseTest, WhatAnIndefiniteSystemTakesIsKnownBeforehand) {
  test::for_types([&]<class T>() {
    constexpr Index n = 1000, kSlack = Index{2} << 20;
    const auto fresh = Context::create(context().name());
    std::vector<T> diagonal(n * n);
    for (std::size_t i = 0; i < n; ++i) diagonal[i * (n + 1)] = static_cast<T>(i % 2 == 0 ? 1 : -2);
    Buffer<T> a(*fresh, diagonal), x(*fresh, std::vector<T>(n, 1));
    const Index planned = fresh->arena().growth(detail::solve_scratch<T>(*fresh, n, 1, true));
    const Index before = fresh->allocated_bytes();
    ASSERT_EQ(solve(*fresh, square(a, n), x.view().reshaped({1, n})).status, LinalgStatus::ok);
    const Index taken = fresh->allocated_bytes() - before;
    EXPECT_LE(taken, planned + kSlack);
    EXPECT_LE(planned, taken + kSlack);
  });
}

}  // namespace
}  // namespace hso
