// SPDX-License-Identifier: Apache-2.0
//
// XTrace and XNysTrace against their definitions, with dense matrices and one probe left out after the other.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/leave_one_out.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

using detail::LeaveOneOut;
using detail::SmallMatrix;
using Vectors = std::vector<Numbers>;

class TraceTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, TraceTest, testing::ValuesIn(contexts()), device_word);

double dot(const Numbers& x, const Numbers& y) { return std::inner_product(x.begin(), x.end(), y.begin(), 0.0); }
Numbers product(const Numbers& a, const Numbers& x) {
  Numbers y;
  for (std::size_t i = 0; i < x.size(); ++i)
    y.push_back(std::inner_product(x.begin(), x.end(), a.begin() + static_cast<std::ptrdiff_t>(i * x.size()), 0.0));
  return y;
}
Vectors without(Vectors all, std::size_t at) {
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
  return all;
}
/// x minus its part in the span of orthonormal rows.
Numbers outside(Numbers x, const Vectors& rows) {
  for (int pass = 0; pass < 2; ++pass)
    for (const Numbers& q : rows) {
      const double along = dot(q, x);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] -= along * q[i];
    }
  return x;
}
Vectors orthonormal(const Vectors& rows) {
  Vectors q;
  for (const Numbers& row : rows) {
    Numbers x = outside(row, q);
    const double length = std::sqrt(dot(x, x));
    for (double& v : x) v /= length;
    q.push_back(std::move(x));
  }
  return q;
}
Vectors images(const Numbers& a, const Vectors& z) {
  Vectors y;
  for (const Numbers& row : z) y.push_back(product(a, row));
  return y;
}

/// The mean over j of tr(Q'AQ) + dimensions / |x|^2 x'Ax, x the part of z_j outside the range Q of the others.
double xtrace_by_definition(const Numbers& a, const Vectors& z) {
  double sum = 0;
  for (std::size_t j = 0; j < z.size(); ++j) {
    const Vectors q = orthonormal(images(a, without(z, j)));
    const Numbers x = outside(z[j], q);
    for (const Numbers& row : q) sum += dot(row, product(a, row));
    sum += static_cast<double>(x.size() - q.size()) / dot(x, x) * dot(x, product(a, x));
  }
  return sum / static_cast<double>(z.size());
}

/// The same with the Nystrom approximation Y (Z'Y)^-1 Y' of the others, as Gauss eliminates one of them after the
/// other, and x the part of z_j outside the others.
double xnystrace_by_definition(const Numbers& a, const Vectors& z) {
  double sum = 0;
  const std::size_t n = z[0].size();
  for (std::size_t j = 0; j < z.size(); ++j) {
    Numbers left = a;  // A minus the approximation
    double captured = 0;
    for (const Numbers& other : without(z, j)) {
      const Numbers y = product(left, other);
      const double pivot = dot(other, y);
      captured += dot(y, y) / pivot;
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t l = 0; l < n; ++l) left[i * n + l] -= y[i] * y[l] / pivot;
    }
    const Numbers x = outside(z[j], orthonormal(without(z, j)));
    sum += captured + static_cast<double>(n - z.size() + 1) / dot(x, x) * dot(z[j], product(left, z[j]));
  }
  return sum / static_cast<double>(z.size());
}

LeaveOneOut xtrace_in_coordinates(const Numbers& a, const Vectors& z) {
  const std::size_t k = z.size();
  const Vectors y = images(a, z), q = orthonormal(y), aq = images(a, q);
  detail::XTraceSketch s{static_cast<Index>(z[0].size()), SmallMatrix(k), SmallMatrix(k), SmallMatrix(k), Numbers(k)};
  for (std::size_t i = 0; i < k; ++i) {
    s.squares[i] = dot(z[i], z[i]);
    for (std::size_t j = 0; j < k; ++j) {
      s.h(i, j) = dot(q[i], aq[j]);
      s.r(i, j) = i <= j ? dot(q[i], y[j]) : 0;
      s.w(j, i) = dot(q[i], z[j]);
    }
  }
  return detail::xtrace_of(s);
}

std::optional<LeaveOneOut> xnystrace_in_coordinates(const Numbers& a, const Vectors& z) {
  const std::size_t k = z.size();
  const Vectors y = images(a, z), q = orthonormal(y);
  detail::NystromSketch s{static_cast<Index>(z[0].size()), 0, SmallMatrix(k), SmallMatrix(k), SmallMatrix(k)};
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j < k; ++j) {
      s.r(i, j) = i <= j ? dot(q[i], y[j]) : 0;
      s.zy(i, j) = dot(z[i], y[j]);
      s.gram(i, j) = dot(z[i], z[j]);
    }
  return detail::xnystrace_of(s);
}

Vectors probes(std::size_t k, std::size_t n) {
  Vectors z;
  for (std::size_t j = 0; j < k; ++j) z.push_back(random_numbers(n, 10 + j));
  return z;
}

TEST(LeaveOneOut, XTraceIsItsDefinitionWithAndWithoutAProbe) {
  const Numbers a = random_symmetric(12, 3);
  const Vectors z = probes(5, 12);
  const LeaveOneOut all = xtrace_in_coordinates(a, z);
  EXPECT_NEAR(all.value, xtrace_by_definition(a, z), 1e-9);
  for (std::size_t l = 0; l < z.size(); ++l)
    EXPECT_NEAR(all.without[l], xtrace_by_definition(a, without(z, l)), 1e-8) << l;
}

TEST(LeaveOneOut, XNysTraceIsItsDefinitionWithAndWithoutAProbe) {
  const Numbers b = random_symmetric(12, 4), a = multiply(b, b, 12, 12, 12);
  const Vectors z = probes(5, 12);
  const auto all = xnystrace_in_coordinates(a, z);
  ASSERT_TRUE(all);
  EXPECT_NEAR(all->value, xnystrace_by_definition(a, z), 1e-8);
  for (std::size_t l = 0; l < z.size(); ++l)
    EXPECT_NEAR(all->without[l], xnystrace_by_definition(a, without(z, l)), 1e-7) << l;
  EXPECT_FALSE(xnystrace_in_coordinates(random_symmetric(12, 4), probes(12, 12)));
}

/// Rank 10 and 60 probes, a zero matrix, and as many probes as dimensions.
TEST_P(TraceTest, XNysTraceOfLowRankIsExact) {
  for_types([&]<class T>() {
    const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
    const auto expect = [&](LinearOperator<T>& a, double truth, double size) {
      const Estimate t = trace(a, {.method = TraceMethod::xnystrace, .products = 60});
      EXPECT_NEAR(t.value, truth, 100 * eps * size);
      EXPECT_LE(t.low, truth);
      EXPECT_GE(t.high, truth);
      EXPECT_LE(t.high - t.low, 3000 * eps * size);
    };
    Numbers values(80, 0.0);
    for (std::size_t i = 70; i < 80; ++i) values[i] = static_cast<double>(i) - 69;
    const SymmetricCase c = with_spectrum("rank 10", values, 8);
    DenseOperator<T> a(context(), c.n, c.matrix);
    expect(a, 55, 20 * std::sqrt(80.0));
    DiagonalOperator<T> small(context(), Span<const T>(std::vector<T>{3, 1, 0, 2}));
    expect(small, 6, 4 * std::sqrt(4.0));
    DiagonalOperator<T> zero(context(), Span<const T>(std::vector<T>(5)));
    EXPECT_EQ(trace(zero, {.method = TraceMethod::xnystrace, .products = 10}).value, 0);
  });
}

/// Where the matrix is not semidefinite xtrace takes its place, and it is said.
TEST_P(TraceTest, XNysTraceOfAnIndefiniteMatrixIsXTrace) {
  DenseOperator<double> a(context(), 30, random_symmetric(30, 5));
  TraceRun run;
  const Estimate t = trace(a, {.method = TraceMethod::xnystrace, .products = 25}, &run);
  EXPECT_EQ(run.method, TraceMethod::xtrace);
  EXPECT_EQ(run.products, a.products);
  EXPECT_EQ(run.products, 15 + 24);
  EXPECT_EQ(t.value, trace(a, {.method = TraceMethod::xtrace, .products = 25}).value);
  EXPECT_THROW(trace(a, {.method = TraceMethod::xnystrace, .products = 4}), UsageError);
}

/// From n products on the diagonal itself is summed, whatever the method; XNysTrace keeps to half of n before, where
/// normal vectors are well conditioned.
TEST_P(TraceTest, AsManyProductsAsDimensionsAreExact) {
  for_types([&]<class T>() {
    const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
    struct Case {
      Index n, rank, products;
    };
    for (const Case& k : {Case{21, 9, 30}, Case{20, 5, 20}, Case{31, 10, 30}, Case{8, 2, 7}, Case{1, 1, 6}}) {
      Numbers values(static_cast<std::size_t>(k.n), 0.0);
      double truth = 0;
      for (Index i = 0; i < k.rank; ++i)
        truth += values[static_cast<std::size_t>(k.n - 1 - i)] = 1 / static_cast<double>(1 + i);
      const SymmetricCase c = with_spectrum("low rank", values, 5);
      DenseOperator<T> a(context(), c.n, c.matrix);
      int misses = 0;
      const int seeds = context().is_cuda() ? 3 : 30;
      for (TraceMethod method :
           {TraceMethod::hutchinson, TraceMethod::hutch_plus_plus, TraceMethod::xtrace, TraceMethod::xnystrace})
        for (int seed = 0; seed < seeds; ++seed) {
          TraceRun run;
          a.products = 0;
          const Estimate t =
              trace(a, {.method = method, .products = k.products, .seed = static_cast<std::uint64_t>(seed)}, &run);
          EXPECT_EQ(run.products, a.products);
          EXPECT_EQ(run.exact, k.products >= k.n);
          misses += !(t.low <= truth && truth <= t.high);
          if (!run.exact) continue;
          EXPECT_EQ(a.products, k.n);
          EXPECT_NEAR(t.value, truth, 20 * eps * static_cast<double>(k.n));
          EXPECT_EQ(t.standard_error, 0);
          EXPECT_LE(t.high - t.low, 100 * eps * static_cast<double>(k.n));
        }
      EXPECT_LE(misses, k.products >= k.n ? 0 : 8) << k.n;  // 9 or more of 120 have a probability below 1e-5
    }
  });
}

TEST(TraceMethods, AutomaticIsXNysTraceWhereItMayBe) {
  TraceOptions o{.products = 30};
  EXPECT_EQ(resolved(o), TraceMethod::hutchinson);
  o.positive_semidefinite = true;
  EXPECT_EQ(resolved(o), TraceMethod::xnystrace);
  for (Index products : {4, 200}) {
    o.products = products;
    EXPECT_EQ(resolved(o), TraceMethod::hutchinson);
  }
  for (const std::string& name : trace_method_names())
    EXPECT_EQ(trace_method_names()[static_cast<std::size_t>(parse_trace_method(name))], name);
}

}  // namespace
}  // namespace hso::test
