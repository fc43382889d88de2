// SPDX-License-Identifier: Apache-2.0
//
// Hessian spectral pruning: flat sets, their projectors, and models of the leading eigenpairs.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "prune/select/stage.hpp"
#include "support/bowl.hpp"

namespace hso {
namespace {

using test::Bowl;
using test::Numbers;
using test::orthonormal;
using test::removed;
using test::with_spectrum;

class FlatRemovalTest : public test::RemovalOnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, FlatRemovalTest, testing::ValuesIn(test::contexts()), test::device_word);

/// s_j of the kept parameters.
Numbers flat_scores(Objective<double>& f, const Numbers& theta, RemovalRule rule, std::optional<FlatReport>& report) {
  const Mask mask = Mask::all(static_cast<Index>(theta.size()));
  detail::Stage<double> stage = detail::make_stage<double>(f, theta, mask, {1}, rule);
  Numbers out = detail::scores_on_device(stage).download();
  for (double& s : out) s = -s;
  report = stage.flat;
  return out;
}

TEST_P(FlatRemovalTest, HspIsTheProjectorWhateverTheBasisOfACluster) {
  // Five eigenvalues at 1e-3 and five at 0.02: a set of three moves up to five.
  const std::size_t n = 16;
  const Numbers q = orthonormal(n, 5), w = test::random_numbers(n, 6);
  Numbers values(n, 1);
  for (std::size_t i = 0; i < n; ++i) values[i] = i < 5 ? 1e-3 : i < 10 ? 0.02 : static_cast<double>(i);
  Bowl<double> f(context(), with_spectrum(q, values), w);
  RemovalRule rule{.score = PruneScore::hsp};
  for (const auto& [asked, used] : {std::pair<Index, Index>{3, 5}, {5, 5}, {6, 10}, {11, 11}}) {
    rule.flat = parse_flat_set("count:" + std::to_string(asked));
    std::optional<FlatReport> report;
    const Numbers s = flat_scores(f, w, rule, report);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->asked, asked);
    EXPECT_EQ(report->used, used);
    for (std::size_t j = 0; j < n; ++j) {
      double expected = 0;
      for (std::size_t k = 0; k < static_cast<std::size_t>(used); ++k) expected += q[k * n + j] * q[k * n + j];
      // Eigenspaces turn by n eps |A| over the gap, 0.019 at the least.
      EXPECT_NEAR(s[j], expected, 16 * 16 * 2.3e-16 * 16 / 0.019) << "count " << asked << ", j " << j;
    }
  }
  rule.flat = parse_flat_set("count:3");
  const Removed r = stage(f, w, 2, rule);
  ASSERT_EQ(r.notes.size(), 1U);
  EXPECT_NE(r.notes[0].find("5 eigenvalues instead of 3"), std::string::npos) << r.notes[0];
}

TEST_P(FlatRemovalTest, FlatSetsByCountThresholdMassAndOrder) {
  const Numbers values{-3, -0.01, 0.001, 0.5, 10};
  const auto choose = [&](const std::string& text, FlatSet::Order order = FlatSet::Order::absolute) {
    FlatSet set = parse_flat_set(text);
    set.order = order;
    return detail::choose_flat(values, set, 0, 2.2e-16);
  };
  EXPECT_EQ(choose("count:2").order, (std::vector<Index>{2, 1, 3, 0, 4}));
  EXPECT_EQ(choose("count:2").report.used, 2);
  EXPECT_EQ(choose("threshold:0.05").report.used, 3);  // 0.5 <= 0.05 * 10
  EXPECT_EQ(choose("mass:0.04").report.used, 3);       // 0.511 of 13.511
  EXPECT_EQ(choose("auto").report.used, 2);            // 1e-3 * 10
  EXPECT_EQ(choose("count:1", FlatSet::Order::algebraic).order.front(), 0);
  EXPECT_EQ(choose("threshold:0.05", FlatSet::Order::algebraic).report.used, 0);
  for (const char* bad : {"count", "count:0", "count:1.5", "threshold:1", "mass:-1", "auto:3", "some", "count:x"})
    EXPECT_THROW(parse_flat_set(bad), UsageError) << bad;
}

TEST_P(FlatRemovalTest, TheLiteralRuleFollowsTheFirstEigenvector) {
  const std::size_t n = 8;
  const Numbers q = orthonormal(n, 7), w = test::random_numbers(n, 8);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<double>(i) - 2.5;  // -2.5 first, -0.5 smallest in size
  Bowl<double> f(context(), with_spectrum(q, values), w);
  for (const auto& [order, row] : {std::pair{FlatSet::Order::algebraic, 0U}, {FlatSet::Order::absolute, 2U}}) {
    RemovalRule rule{.score = PruneScore::hsp_literal};
    rule.flat.order = order;
    std::vector<Index> expected(n);
    std::iota(expected.begin(), expected.end(), Index{0});
    // -0.5 and 0.5 are as flat as each other; of equals the first in ascending order leads.
    std::sort(expected.begin(), expected.end(), [&](Index a, Index b) {
      return std::abs(q[row * n + static_cast<std::size_t>(a)]) > std::abs(q[row * n + static_cast<std::size_t>(b)]);
    });
    expected.resize(4);
    Numbers shifted = values;
    if (order == FlatSet::Order::absolute) shifted[2] = -0.4;
    Bowl<double> g(context(), with_spectrum(q, shifted), w);
    EXPECT_EQ(removed(stage(order == FlatSet::Order::absolute ? g : f, w, 4, rule)), expected);
  }
}

TEST_P(FlatRemovalTest, HspByRankIsTheComplementOfTheLargest) {
  const std::size_t n = 24;
  const Numbers q = orthonormal(n, 9), w = test::random_numbers(n, 10);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = i < 18 ? 1e-3 * static_cast<double>(i + 1) : static_cast<double>(i);
  Bowl<double> f(context(), with_spectrum(q, values), w);
  RemovalRule all{.score = PruneScore::hsp}, some{.score = PruneScore::hsp, .rank = 6};
  all.flat = parse_flat_set("count:18");
  EXPECT_EQ(removed(stage(f, w, 10, some)), removed(stage(f, w, 10, all)));
}

TEST_P(FlatRemovalTest, SaliencyByRankIsThatOfTheSpectralModel) {
  // Twenty equal flat eigenvalues: their mean is what the trace leaves, up to the trace's own error, exact here since
  // Hutchinson's probes see Q' (c I + low rank) Q.
  const std::size_t n = 24;
  const Numbers q = orthonormal(n, 19), w = test::random_numbers(n, 20);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = i < 20 ? 0.5 : 100 * static_cast<double>(i);
  Bowl<double> f(context(), with_spectrum(q, values), w);
  const Removed rank = stage(f, w, 6, {.score = PruneScore::hsp_saliency, .rank = 4});
  ASSERT_EQ(rank.removals.size(), 6U);
  ASSERT_TRUE(rank.flat.has_value());
  EXPECT_EQ(rank.flat->used, 20);
  // Whatever level the trace gave the flat directions, what stays is at the model's minimum on it.
  const double tau = rank.flat->largest_flat;
  for (std::size_t i = 0; i < n; ++i) values[i] = i < 20 ? tau : values[i];
  const Numbers a = with_spectrum(q, values);
  for (std::size_t i = 0; i < n; ++i) {
    double gradient = 0;
    for (std::size_t j = 0; j < n; ++j) gradient += a[i * n + j] * (rank.theta[j] - w[j]);
    if (rank.mask.kept[i] != 0) {
      EXPECT_NEAR(gradient, 0, 1e-3 * 2300) << "pairs are good to 1e-4 of the largest";
    }
  }
}

/// Of Rademacher probes z'Cz has the variance 2 (|C|_F^2 - sum of C_ii^2), C the curvature on the complement: with 30
/// probes the mean of 60 equal eigenvalues c is within 5 sqrt(2 / (30 60)) = 17 % of c but once in 2 million. The
/// leading values, a million times larger, must add nothing.
TEST_P(FlatRemovalTest, TheLevelBesideARankIsTheMeanOfTheOtherEigenvalues) {
  const std::size_t n = 64, leading = 4;
  const Numbers q = orthonormal(n, 29), w = test::random_numbers(n, 30);
  Numbers values(n, 0.5);
  for (std::size_t i = n - leading; i < n; ++i) values[i] = 5e5 + 1e5 * static_cast<double>(i);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Bowl<double> f(context(), with_spectrum(q, values), w);
    const Removed rank = stage(f, w, 6, {.score = PruneScore::hsp_saliency, .damping = 0, .rank = 4, .seed = seed});
    EXPECT_NEAR(rank.flat->largest_flat, 0.5, 0.17 * 0.5) << "seed " << seed;
    EXPECT_TRUE(rank.notes.empty());
  }
}

TEST_P(FlatRemovalTest, ANegativeLevelBesideARankIsSaid) {
  const std::size_t n = 24;
  const Numbers q = orthonormal(n, 31), w = test::random_numbers(n, 32);
  Numbers values(n, -0.5);
  for (std::size_t i = 20; i < n; ++i) values[i] = 100 * static_cast<double>(i);
  Bowl<double> f(context(), with_spectrum(q, values), w);
  const Removed rank = stage(f, w, 6, {.score = PruneScore::hsp_saliency, .damping = 0.01, .rank = 4});
  EXPECT_NEAR(rank.flat->largest_flat, 0.01 * 2300, 1e-3 * 23) << "damping times the largest eigenvalue";
  ASSERT_EQ(rank.notes.size(), 1U);
  EXPECT_NE(rank.notes[0].find("mean -0.5"), std::string::npos) << rank.notes[0];
}

}  // namespace
}  // namespace hso
