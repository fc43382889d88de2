// SPDX-License-Identifier: Apache-2.0
//
// The factorisation verbs, by residuals in units of n eps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

class LapackTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LapackTest, testing::ValuesIn(test::contexts()), test::device_word);

constexpr double kUnits = 30;

template <class T>
double n_eps(Index n) {
  return static_cast<double>(std::max<Index>(n, 1)) * static_cast<double>(std::numeric_limits<T>::epsilon());
}

std::size_t at(Index i, Index j, Index n) { return static_cast<std::size_t>(i * n + j); }

/// (G + G') / 2, or G G' / n + I when positive definite is asked for.
template <class T>
std::vector<T> symmetric(Index n, std::uint64_t seed, bool positive) {
  const std::vector<double> g = test::normal_numbers<double>(n * n, seed);
  std::vector<T> a(g.size());
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      double v = i == j ? 1 : 0;
      for (Index l = 0; l < n && positive; ++l) v += g[at(i, l, n)] * g[at(j, l, n)] / static_cast<double>(n);
      a[at(i, j, n)] = static_cast<T>(positive ? v : (g[at(i, j, n)] + g[at(j, i, n)]) / 2);
    }
  return a;
}

template <class T>
double largest(const std::vector<T>& a) {
  double top = 0;
  for (T v : a) top = std::max(top, std::abs(static_cast<double>(v)));
  return top;
}

/// max |V A - L V| over rows, and |V V' - I|, V [count][n] with unit rows.
template <class T>
void expect_eigenpairs(const std::vector<T>& a, const std::vector<T>& w, const std::vector<T>& v, Index n,
                       Index count) {
  const double size = static_cast<double>(n) * largest(a);
  for (Index r = 0; r < count; ++r) {
    for (Index j = 0; j < n; ++j) {
      double av = 0;
      for (Index l = 0; l < n; ++l) av += static_cast<double>(v[at(r, l, n)]) * static_cast<double>(a[at(l, j, n)]);
      const double lv = static_cast<double>(w[static_cast<std::size_t>(r)]) * static_cast<double>(v[at(r, j, n)]);
      ASSERT_NEAR(av, lv, kUnits * n_eps<T>(n) * size) << "pair " << r << " of " << n;
    }
    for (Index s = 0; s <= r; ++s) {
      double dot = 0;
      for (Index l = 0; l < n; ++l) dot += static_cast<double>(v[at(r, l, n)]) * static_cast<double>(v[at(s, l, n)]);
      ASSERT_NEAR(dot, r == s ? 1.0 : 0.0, kUnits * n_eps<T>(n)) << "rows " << r << " and " << s << " of " << n;
    }
  }
}

TEST_P(LapackTest, CholeskySolvesAndInverts) {
  test::for_types([&]<class T>() {
    for (Index n : {1, 2, 5, 64, 100}) {
      auto& ops = context().ops<T>();
      const std::vector<T> a = symmetric<T>(n, 11, true), b = test::normal_numbers<T>(3 * n, 12);
      Buffer<T> factor(context(), a), x(context(), b);
      ASSERT_EQ(ops.potrf(n, factor.data()), 0);
      ops.potrs(n, 3, factor.data(), x.data());
      ASSERT_EQ(ops.potri(n, factor.data()), 0);
      const auto solution = x.download(), inverse = factor.download();
      const double scale = largest(a) * (largest(solution) + largest(inverse)) * static_cast<double>(n);
      for (Index i = 0; i < n; ++i) {
        for (Index r = 0; r < 3; ++r) {
          double ax = 0;
          for (Index l = 0; l < n; ++l)
            ax += static_cast<double>(a[at(i, l, n)]) * static_cast<double>(solution[at(r, l, n)]);
          ASSERT_NEAR(ax, static_cast<double>(b[at(r, i, n)]), kUnits * n_eps<T>(n) * scale) << "n " << n;
        }
        for (Index j = 0; j < n; ++j) {
          double product = 0;
          for (Index l = 0; l < n; ++l)
            product += static_cast<double>(a[at(i, l, n)]) * static_cast<double>(inverse[at(l, j, n)]);
          ASSERT_NEAR(product, i == j ? 1.0 : 0.0, kUnits * n_eps<T>(n) * scale) << "n " << n;
        }
      }
    }
  });
}

TEST_P(LapackTest, CholeskyNamesTheMinorThatIsNotPositive) {
  test::for_types([&]<class T>() {
    Buffer<T> a(context(), std::vector<T>{4, 2, 0, 2, 1, 0, 0, 0, 1});  // the leading 2x2 minor is 0
    EXPECT_EQ(context().ops<T>().potrf(3, a.data()), 2);
    Buffer<T> b(context(), std::vector<T>{-1});
    EXPECT_EQ(context().ops<T>().potrf(1, b.data()), 1);
  });
}

TEST_P(LapackTest, TheLowerTriangleIsTheOneThatIsRead) {
  Buffer<double> a(context(), std::vector<double>{4, 99, 2, 5});  // row-major: A = [4 2; 2 5]
  Buffer<double> b(context(), std::vector<double>{4, 99, 2, 5}), w(context(), 2);
  ASSERT_EQ(context().ops<double>().potrf(2, a.data()), 0);
  EXPECT_DOUBLE_EQ(a.download()[0], 2);
  EXPECT_DOUBLE_EQ(a.download()[2], 1);
  EXPECT_DOUBLE_EQ(a.download()[3], 2);
  ASSERT_EQ(context().ops<double>().syevd(2, b.data(), w.data(), false), 0);
  EXPECT_NEAR(w.download()[0] + w.download()[1], 9, 1e-14);
  EXPECT_NEAR(w.download()[0] * w.download()[1], 16, 1e-13);
}

TEST_P(LapackTest, EigenpairsWholeRangeAndBatched) {
  test::for_types([&]<class T>() {
    for (Index n : {1, 2, 3, 33, 100}) {
      auto& ops = context().ops<T>();
      const std::vector<T> a = symmetric<T>(n, 13, false);
      Buffer<T> v(context(), a), w(context(), n), only(context(), a), values(context(), n);
      ASSERT_EQ(ops.syevd(n, v.data(), w.data(), true), 0);
      ASSERT_EQ(ops.syevd(n, only.data(), values.data(), false), 0);
      expect_eigenpairs(a, w.download(), v.download(), n, n);
      const auto all = w.download(), alone = values.download();
      EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
      const double tolerance = kUnits * n_eps<T>(n) * static_cast<double>(n) * largest(a);
      for (std::size_t i = 0; i < all.size(); ++i) ASSERT_NEAR(all[i], alone[i], tolerance);

      const Index il = n / 3, iu = n - 1, count = iu - il + 1;
      Buffer<T> copy(context(), a), few(context(), count), z(context(), count * n);
      ASSERT_EQ(ops.syevd_range(n, copy.data(), il, iu, few.data(), z.data()), 0);
      expect_eigenpairs(a, few.download(), z.download(), n, count);
      const auto part = few.download();
      for (std::size_t i = 0; i < part.size(); ++i)
        ASSERT_NEAR(part[i], all[i + static_cast<std::size_t>(il)], tolerance);
      copy.upload(a);
      ASSERT_EQ(ops.syevd_range(n, copy.data(), 0, n / 2, few.data(), nullptr), 0) << "values of a range alone";
    }
  });
}

TEST_P(LapackTest, BatchedEigenpairs) {
  test::for_types([&]<class T>() {
    const Index n = 20, batch = 7;
    std::vector<T> all;
    for (Index b = 0; b < batch; ++b) {
      const auto one = symmetric<T>(n, 20 + static_cast<std::uint64_t>(b), false);
      all.insert(all.end(), one.begin(), one.end());
    }
    Buffer<T> v(context(), all), w(context(), batch * n);
    ASSERT_EQ(context().ops<T>().syevd_batched(n, batch, v.data(), w.data(), true), 0);
    const auto hv = v.download(), hw = w.download();
    for (Index b = 0; b < batch; ++b) {
      const auto slice = [&](const std::vector<T>& from, Index size) {
        return std::vector<T>(from.begin() + b * size, from.begin() + (b + 1) * size);
      };
      expect_eigenpairs(slice(all, n * n), slice(hw, n), slice(hv, n * n), n, n);
    }
  });
}

TEST_P(LapackTest, EmptyProblemsAndWrongRanges) {
  auto& ops = context().ops<double>();
  EXPECT_EQ(ops.potrf(0, nullptr), 0);
  EXPECT_EQ(ops.potri(0, nullptr), 0);
  EXPECT_EQ(ops.syevd(0, nullptr, nullptr, true), 0);
  EXPECT_EQ(ops.syevd_batched(5, 0, nullptr, nullptr, true), 0);
  EXPECT_THROW(ops.syevd_range(3, nullptr, 1, 3, nullptr, nullptr), UsageError);
  EXPECT_THROW(ops.syevd_range(3, nullptr, -1, 1, nullptr, nullptr), UsageError);
  EXPECT_THROW(ops.syevd_range(3, nullptr, 2, 1, nullptr, nullptr), UsageError);
  EXPECT_GE(ops.syevd_workspace_bytes(1000, true), ops.syevd_workspace_bytes(1000, false));
}

// The memory is never touched: sizes whose workspace count passes 32 bits are refused before anything is taken.
TEST(CpuLapackTest, SizesBeyond32BitIntegersAreRefused) {
  const auto cpu = Context::create("cpu");
  EXPECT_THROW(cpu->ops<float>().syevd(32767, nullptr, nullptr, true), NumericalError);
  EXPECT_EQ(cpu->allocation_count(), 0);
}

}  // namespace
}  // namespace hso
