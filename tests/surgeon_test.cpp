// SPDX-License-Identifier: Apache-2.0
//
// Optimal Brain Surgeon on quadratic models, against inverses computed anew for every removal.
#include "hsogpu/prune/surgeon.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "prune/select/group_inverse.hpp"
#include "prune/select/low_rank.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"

namespace hso {
namespace {

using Numbers = std::vector<double>;

/// B B' / n + I / 2: eigenvalues from 1/2 to about 4.5.
Numbers positive_definite(Index n, std::uint64_t seed) {
  const auto m = static_cast<std::size_t>(n);
  const Numbers b = test::random_numbers(m * m, seed);
  Numbers a(m * m, 0);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j) {
      for (std::size_t k = 0; k < m; ++k) a[i * m + j] += b[i * m + k] * b[j * m + k] / static_cast<double>(n);
      if (i == j) a[i * m + j] += 0.5;
    }
  return a;
}

Numbers submatrix(const Numbers& a, std::size_t n, const std::vector<Index>& rows) {
  Numbers out;
  for (const Index i : rows)
    for (const Index j : rows) out.push_back(a[static_cast<std::size_t>(i) * n + static_cast<std::size_t>(j)]);
  return out;
}

/// Gauss-Jordan with partial pivoting.
Numbers inverted(Numbers a, std::size_t n) {
  Numbers x(n * n, 0);
  for (std::size_t i = 0; i < n; ++i) x[i * n + i] = 1;
  for (std::size_t c = 0; c < n; ++c) {
    std::size_t p = c;
    for (std::size_t r = c; r < n; ++r)
      if (std::abs(a[r * n + c]) > std::abs(a[p * n + c])) p = r;
    for (std::size_t j = 0; j < n; ++j) std::swap(a[c * n + j], a[p * n + j]), std::swap(x[c * n + j], x[p * n + j]);
    const double pivot = a[c * n + c];
    for (std::size_t j = 0; j < n; ++j) a[c * n + j] /= pivot, x[c * n + j] /= pivot;
    for (std::size_t r = 0; r < n; ++r) {
      const double f = a[r * n + c];
      if (r == c || f == 0) continue;
      for (std::size_t j = 0; j < n; ++j) a[r * n + j] -= f * a[c * n + j], x[r * n + j] -= f * x[c * n + j];
    }
  }
  return x;
}

/// Removals one by one, each from the inverse of what is left.
Surgery by_inversion(const Numbers& a, Numbers w, Index count, const std::vector<std::uint8_t>& removable) {
  const std::size_t n = w.size();
  std::vector<Index> kept(n);
  std::iota(kept.begin(), kept.end(), Index{0});
  Surgery out;
  for (Index k = 0; k < count; ++k) {
    const std::size_t m = kept.size();
    const Numbers p = inverted(submatrix(a, n, kept), m);
    std::size_t q = m;
    double least = INFINITY;
    for (std::size_t i = 0; i < m; ++i) {
      const double wi = w[static_cast<std::size_t>(kept[i])], cost = wi * wi / (2 * p[i * m + i]);
      if (removable[static_cast<std::size_t>(kept[i])] != 0 && cost < least) least = cost, q = i;
    }
    const double scale = w[static_cast<std::size_t>(kept[q])] / p[q * m + q];
    for (std::size_t i = 0; i < m; ++i) w[static_cast<std::size_t>(kept[i])] -= scale * p[q * m + i];
    w[static_cast<std::size_t>(kept[q])] = 0;
    out.removals.push_back({kept[q], least});
    kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(q));
  }
  out.theta = w;
  return out;
}

/// 1/2 (x - w)' A (x - w)
double quadratic(const Numbers& a, const Numbers& w, const Numbers& x) {
  double sum = 0;
  for (std::size_t i = 0; i < w.size(); ++i)
    for (std::size_t j = 0; j < w.size(); ++j) sum += 0.5 * (x[i] - w[i]) * a[i * w.size() + j] * (x[j] - w[j]);
  return sum;
}

std::vector<std::uint8_t> all(Index n) { return std::vector<std::uint8_t>(static_cast<std::size_t>(n), 1); }

template <class T>
SurgeryModel<T> whole(Context& context, const Numbers& a, Index n) {
  SurgeryBlock block{0, 1, std::vector<Index>(static_cast<std::size_t>(n)), {}};
  std::iota(block.parameters.begin(), block.parameters.end(), Index{0});
  block.rows = block.parameters;
  return {{n},
          [&context, a](Index, T* to) {
            const std::vector<T> values(a.begin(), a.end());
            context.to_device(values.data(), to, static_cast<Index>(values.size() * sizeof(T)));
          },
          {block}};
}

/// Every step multiplies by the inverse once more: condition 10, n steps.
template <class T>
double tolerance(Index n) {
  return 10 * static_cast<double>(n * n) * std::numeric_limits<T>::epsilon();
}

class SurgeonTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, SurgeonTest, testing::ValuesIn(test::contexts()), test::device_word);

TEST_P(SurgeonTest, RemovesWhatInversionsAnewRemove) {
  const Index n = 23, count = 17;
  const Numbers a = positive_definite(n, 3), w = test::random_numbers(static_cast<std::size_t>(n), 4);
  std::vector<std::uint8_t> removable = all(n);
  removable[2] = removable[11] = 0;
  const Surgery expected = by_inversion(a, w, count, removable);
  test::for_types([&]<class T>() {
    for (const Index capacity : {1, 3, 32}) {
      SurgeryOptions options{count, removable, {}, 0, capacity};
      const Surgery got = obs_prune<T>(context(), whole<T>(context(), a, n), w, options);
      ASSERT_EQ(got.removals.size(), expected.removals.size());
      for (std::size_t k = 0; k < got.removals.size(); ++k) {
        EXPECT_EQ(got.removals[k].parameter, expected.removals[k].parameter) << "step " << k;
        EXPECT_NEAR(got.removals[k].predicted, expected.removals[k].predicted, tolerance<T>(n));
      }
      for (std::size_t j = 0; j < w.size(); ++j) EXPECT_NEAR(got.theta[j], expected.theta[j], tolerance<T>(n)) << j;
      EXPECT_TRUE(got.notes.empty());
    }
  });
}

TEST_P(SurgeonTest, PredictsTheChangeOfAQuadratic) {
  const Index n = 30;
  const Numbers a = positive_definite(n, 5), w = test::random_numbers(static_cast<std::size_t>(n), 6);
  for (const Index count : {1, 2, 29, 30}) {
    const Surgery got = obs_prune<double>(context(), whole<double>(context(), a, n), w, {count, all(n), {}, 0});
    ASSERT_EQ(static_cast<Index>(got.removals.size()), count);
    EXPECT_NEAR(got.predicted, quadratic(a, w, got.theta), tolerance<double>(n) * got.predicted);
    for (const Removal& r : got.removals) {
      const double value = got.theta[static_cast<std::size_t>(r.parameter)];
      EXPECT_EQ(value, 0);
      EXPECT_FALSE(std::signbit(value));
    }
  }
}

/// Three blocks of two matrices, with different scales and rows out of order.
struct Blocks {
  explicit Blocks(Index n) : first(positive_definite(n, 7)), second(positive_definite(n, 8)), size(n) {
    for (Index b = 0; b < 3; ++b) {
      SurgeryBlock block{b == 2 ? 1 : 0, b == 1 ? 3.0 : 0.5, {}, {}};
      for (Index i = 0; i < n - b; ++i) {
        block.parameters.push_back(3 * i + b);
        block.rows.push_back(n - 1 - i);
      }
      blocks.push_back(block);
    }
  }
  /// The matrix of all parameters, 1 on the diagonal of those in no block.
  Numbers dense() const {
    const auto all = static_cast<std::size_t>(3 * size), n = static_cast<std::size_t>(size);
    Numbers out(all * all, 0);
    for (std::size_t j = 0; j < all; ++j) out[j * all + j] = 1;
    for (const SurgeryBlock& b : blocks)
      for (std::size_t i = 0; i < b.rows.size(); ++i)
        for (std::size_t k = 0; k < b.rows.size(); ++k)
          out[static_cast<std::size_t>(b.parameters[i]) * all + static_cast<std::size_t>(b.parameters[k])] =
              b.scale * (b.matrix == 0
                             ? first
                             : second)[static_cast<std::size_t>(b.rows[i]) * n + static_cast<std::size_t>(b.rows[k])];
    return out;
  }
  template <class T>
  SurgeryModel<T> model(Context& context) const {
    return {{size, size},
            [&context, this](Index m, T* to) {
              const Numbers& a = m == 0 ? first : second;
              const std::vector<T> values(a.begin(), a.end());
              context.to_device(values.data(), to, static_cast<Index>(values.size() * sizeof(T)));
            },
            blocks};
  }
  Numbers first, second;
  Index size;
  std::vector<SurgeryBlock> blocks;
};

TEST_P(SurgeonTest, MergesTheOrdersOfBlocks) {
  const Index n = 9, all_of = 3 * n;
  const Blocks blocks(n);
  const Numbers w = test::random_numbers(static_cast<std::size_t>(all_of), 9);
  // Parameters of no block are not removable for the reference.
  std::vector<std::uint8_t> removable(static_cast<std::size_t>(all_of), 0);
  for (const SurgeryBlock& b : blocks.blocks)
    for (const Index j : b.parameters) removable[static_cast<std::size_t>(j)] = 1;
  const Surgery expected = by_inversion(blocks.dense(), w, 16, removable);
  const Surgery got = obs_prune<double>(context(), blocks.model<double>(context()), w, {16, removable, {}, 0});
  ASSERT_EQ(got.removals.size(), 16U);
  for (std::size_t k = 0; k < 16; ++k) {
    EXPECT_EQ(got.removals[k].parameter, expected.removals[k].parameter) << "step " << k;
    EXPECT_NEAR(got.removals[k].predicted, expected.removals[k].predicted, tolerance<double>(all_of));
  }
  for (std::size_t j = 0; j < w.size(); ++j)
    EXPECT_NEAR(got.theta[j], expected.theta[j], tolerance<double>(all_of)) << j;
}

TEST_P(SurgeonTest, KeepsQuotas) {
  const Index n = 24;
  const Numbers a = positive_definite(n, 10), w = test::random_numbers(static_cast<std::size_t>(n), 11);
  Quota four{std::vector<Index>(static_cast<std::size_t>(n)), std::vector<Index>(6, 2)};
  for (Index j = 0; j < n; ++j) four.group[static_cast<std::size_t>(j)] = j / 4;
  four.limits[3] = 0;
  const Surgery got = obs_prune<double>(context(), whole<double>(context(), a, n), w, {n, all(n), {four}, 0});
  std::vector<Index> gone(6, 0);
  for (const Removal& r : got.removals) ++gone[static_cast<std::size_t>(r.parameter / 4)];
  EXPECT_EQ(gone, (std::vector<Index>{2, 2, 2, 0, 2, 2}));
  EXPECT_NEAR(got.predicted, quadratic(a, w, got.theta), tolerance<double>(n) * got.predicted);

  // A group that spans blocks.
  const Blocks blocks(9);
  const Numbers v = test::random_numbers(27, 12);
  const Quota half{std::vector<Index>(27, 0), {5}};
  EXPECT_EQ(obs_prune<double>(context(), blocks.model<double>(context()), v, {20, all(27), {half}, 0}).removals.size(),
            5U);
}

TEST_P(SurgeonTest, DampingIsRelativeToTheMeanDiagonal) {
  const Index n = 12;
  Numbers a = positive_definite(n, 13);
  const Numbers w = test::random_numbers(static_cast<std::size_t>(n), 14);
  const Surgery got = obs_prune<double>(context(), whole<double>(context(), a, n), w, {5, all(n), {}, 0.3});
  double trace = 0;
  for (std::size_t i = 0; i < w.size(); ++i) trace += a[i * w.size() + i];
  for (std::size_t i = 0; i < w.size(); ++i) a[i * w.size() + i] += 0.3 * trace / static_cast<double>(n);
  const Surgery expected = by_inversion(a, w, 5, all(n));
  for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(got.removals[k].parameter, expected.removals[k].parameter);
  for (std::size_t j = 0; j < w.size(); ++j) EXPECT_NEAR(got.theta[j], expected.theta[j], tolerance<double>(n));
}

TEST_P(SurgeonTest, ALowRankIsTheSameMatrix) {
  const std::size_t n = 26, r = 4;
  const Numbers u = test::random_numbers(n * r, 17);
  std::vector<Index> parameters(n);
  std::iota(parameters.begin(), parameters.end(), Index{0});
  const detail::LowRankModel model{static_cast<Index>(r), 0.3, Buffer<double>(context(), u), parameters};
  Numbers a(n * n, 0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) a[i * n + j] = 0.3;
      for (std::size_t k = 0; k < r; ++k) a[i * n + j] += u[i * r + k] * u[j * r + k];
    }
  const Numbers w = test::random_numbers(n, 18);
  const SurgeryOptions options{15, all(26), {}};
  const Surgery expected = by_inversion(a, w, 15, all(26));
  // |H| <= 0.3 + r n, its inverse at most 1 / 0.3: condition 350, n steps.
  const double slack = 350 * 26 * 26 * std::numeric_limits<double>::epsilon();
  const Surgery got = detail::operate_low_rank(context(), model, w, options, 15);
  ASSERT_EQ(got.removals.size(), 15U);
  for (std::size_t k = 0; k < 15; ++k) {
    EXPECT_EQ(got.removals[k].parameter, expected.removals[k].parameter) << k;
    EXPECT_NEAR(got.removals[k].predicted, expected.removals[k].predicted, slack);
  }
  for (std::size_t j = 0; j < n; ++j) EXPECT_NEAR(got.theta[j], expected.theta[j], slack);
  // Fewer rounds take another set, whose compensation is exact all the same: the model's gradient vanishes on what
  // stays.
  const Surgery rounds = detail::operate_low_rank(context(), model, w, options, 3);
  ASSERT_EQ(rounds.removals.size(), 15U);
  for (std::size_t i = 0; i < n; ++i) {
    double gradient = 0;
    for (std::size_t j = 0; j < n; ++j) gradient += a[i * n + j] * (rounds.theta[j] - w[j]);
    if (rounds.theta[i] != 0) {
      EXPECT_NEAR(gradient, 0, slack) << i;
    }
  }
}

TEST_P(SurgeonTest, IndefiniteBlocksCountByTheirAbsoluteValues) {
  // diag(2, -1, 0.5): |.| makes costs w^2 |d| / 2.
  const Numbers a{2, 0, 0, 0, -1, 0, 0, 0, 0.5}, w{1, 1, 1};
  const Surgery got = obs_prune<double>(context(), whole<double>(context(), a, 3), w, {3, all(3), {}, 0});
  ASSERT_EQ(got.removals.size(), 3U);
  EXPECT_EQ(got.removals[0].parameter, 2);
  EXPECT_EQ(got.removals[1].parameter, 1);
  EXPECT_NEAR(got.removals[1].predicted, 0.5, 1e-14);
  ASSERT_EQ(got.notes.size(), 1U);
  EXPECT_NE(got.notes[0].find("not positive definite"), std::string::npos) << got.notes[0];
}

/// P = diag(2, -1, 1): entry 1 has no finite cost and its removal moves nothing else; entry 0 goes as Hassibi and Stork
/// say, at w^2 / (2 P_00).
TEST_P(SurgeonTest, GroupsWithoutAnInverseAreCounted) {
  detail::GroupInverse<double> inverse(context(), 3, Buffer<double>(context(), Numbers{2, 0, 1, 0, -1, 1, 1, 1, 1}),
                                       {3, 4, 5}, {1.0});
  EXPECT_EQ(inverse.cost({1}), std::numeric_limits<double>::infinity());
  inverse.remove({1}, true);
  EXPECT_EQ(inverse.uncompensated(), 1);
  EXPECT_EQ(inverse.weights(), (Numbers{3, 0, 5}));
  EXPECT_DOUBLE_EQ(inverse.cost({0}), 9.0 / 4);
  inverse.remove({0}, true);
  EXPECT_EQ(inverse.uncompensated(), 1);
  const Numbers left = inverse.weights();
  EXPECT_EQ(left[0], 0);
  EXPECT_EQ(left[1], 0);
  EXPECT_DOUBLE_EQ(left[2], 3.5);  // 5 - 3 P_20 / P_00
}

TEST_P(SurgeonTest, SaysWhatDoesNotFit) {
  const Numbers a = positive_definite(4, 15), w(4, 1.0);
  const SurgeryModel<double> model = whole<double>(context(), a, 4);
  EXPECT_THROW(obs_prune<double>(context(), model, w, {1, all(3), {}, 0}), InputError);
  EXPECT_THROW(obs_prune<double>(context(), model, w, {-1, all(4), {}, 0}), UsageError);
  EXPECT_THROW(obs_prune<double>(context(), model, w, {1, all(4), {}, -1}), UsageError);
  EXPECT_THROW(obs_prune<double>(context(), model, w, {1, all(4), {{{0}, {1}}}, 0}), InputError);
  Numbers bad = a;
  bad[5] = NAN;
  EXPECT_THROW(obs_prune<double>(context(), whole<double>(context(), bad, 4), w, {1, all(4), {}, 0}), NumericalError);
}

TEST_P(SurgeonTest, ArgminTakesTheFirstOfEqualsAndNoInfinity) {
  test::for_types([&]<class T>() {
    const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    const Index n = 1000;
    std::vector<T> x(static_cast<std::size_t>(4 * n), T(5));
    x[700] = x[300] = T(-2);
    x[static_cast<std::size_t>(n)] = nan;
    x[static_cast<std::size_t>(n) + 999] = T(4);
    std::fill_n(x.begin() + 2 * n, n, inf);
    x[static_cast<std::size_t>(3 * n) + 17] = -inf;
    const Buffer<T> values(context(), x);
    Buffer<Index> at(context(), 4);
    context().ops<T>().argmin(4, n, values.data(), n, at.data());
    EXPECT_EQ(at.download(), (std::vector<Index>{300, 999, -1, 17}));
  });
}

}  // namespace
}  // namespace hso
