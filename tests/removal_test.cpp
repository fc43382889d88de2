// SPDX-License-Identifier: Apache-2.0
//
// One stage of pruning: what each score removes, and what the rule keeps.
#include "hsogpu/removal.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "hsogpu/error.hpp"
#include "prune/stage.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso {
namespace {

using test::Numbers;

/// f = 1/2 (x - x0)' A (x - x0) with A on the device, in tensors of the given shapes.
template <class T>
class Bowl final : public Objective<T> {
 public:
  Bowl(Context& context, Numbers a, Numbers centre, std::vector<ParameterSlice> layout = {})
      : a_(context, static_cast<Index>(centre.size()), std::move(a)),
        centre_(std::move(centre)),
        layout_(std::move(layout)) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  std::vector<ParameterSlice> layout() const override { return layout_.empty() ? Objective<T>::layout() : layout_; }
  double value(const T* theta) override { return at(theta, nullptr); }
  double gradient(const T* theta, T* g) override { return at(theta, g); }
  std::unique_ptr<LinearOperator<T>> curvature(const T*, Curvature) override {
    return std::make_unique<MatrixOperator<T>>(context(), dimension(), a_.data());
  }

 private:
  double at(const T* theta, T* g) {
    const auto n = centre_.size();
    std::vector<T> x(n), out(n, T(0));
    context().to_host(theta, x.data(), static_cast<Index>(n * sizeof(T)));
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double row = 0;
      for (std::size_t j = 0; j < n; ++j) row += a_.host()[i * n + j] * (static_cast<double>(x[j]) - centre_[j]);
      out[i] = static_cast<T>(row);
      sum += 0.5 * row * (static_cast<double>(x[i]) - centre_[i]);
    }
    if (g != nullptr) context().to_device(out.data(), g, static_cast<Index>(n * sizeof(T)));
    return sum;
  }
  test::DenseOperator<T> a_;
  Numbers centre_;
  std::vector<ParameterSlice> layout_;
};

Numbers diagonal(const Numbers& d) {
  Numbers a(d.size() * d.size(), 0);
  for (std::size_t i = 0; i < d.size(); ++i) a[i * d.size() + i] = d[i];
  return a;
}

/// Orthonormal rows by Gram-Schmidt, twice.
Numbers orthonormal(std::size_t n, std::uint64_t seed) {
  Numbers q = test::random_numbers(n * n, seed);
  for (std::size_t i = 0; i < n; ++i)
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t k = 0; k < i; ++k) {
        double dot = 0;
        for (std::size_t j = 0; j < n; ++j) dot += q[i * n + j] * q[k * n + j];
        for (std::size_t j = 0; j < n; ++j) q[i * n + j] -= dot * q[k * n + j];
      }
      double norm = 0;
      for (std::size_t j = 0; j < n; ++j) norm += q[i * n + j] * q[i * n + j];
      for (std::size_t j = 0; j < n; ++j) q[i * n + j] /= std::sqrt(norm);
    }
  return q;
}

Numbers with_spectrum(const Numbers& q, const Numbers& values) {
  const std::size_t n = values.size();
  Numbers a(n * n, 0);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] += values[k] * q[k * n + i] * q[k * n + j];
  return a;
}

std::vector<Index> removed(const Removed& r) {
  std::vector<Index> out;
  for (const Removal& one : r.removals) out.push_back(one.parameter);
  return out;
}

class RemovalTest : public test::OnDevice {
 protected:
  Removed stage(Objective<double>& f, const Numbers& theta, Index count, RemovalRule rule) {
    if (rule.damping == RemovalRule{}.damping) rule.damping = 0;
    return remove_parameters<double>(f, theta, Mask::all(static_cast<Index>(theta.size())), {count}, rule);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, RemovalTest, testing::ValuesIn(test::contexts()), test::device_word);

TEST_P(RemovalTest, SimpleScoresAreTheirFormulas) {
  // |w|: 3 2 1 4; d w^2 / 2: 0.45 2 4.5 0.08; g = d (w - c): |g w| = 0.3*2..., see below
  const Numbers d{0.1, 1, 9, 0.01}, w{3, -2, 1, -4}, c{1, -2, 0, -4};
  Bowl<double> f(context(), diagonal(d), c);
  EXPECT_EQ(removed(stage(f, w, 2, {.score = PruneScore::magnitude})), (std::vector<Index>{2, 1}));
  const Removed obd = stage(f, w, 2, {.score = PruneScore::obd});
  EXPECT_EQ(removed(obd), (std::vector<Index>{3, 0}));
  EXPECT_NEAR(obd.predicted, 0.08 + 0.45, 1e-15);
  // g = (0.2, 0, 9, 0): |g w| = 0.6, 0, 9, 0, the first of equals first.
  const Removed gradient = stage(f, w, 3, {.score = PruneScore::gradient});
  EXPECT_EQ(removed(gradient), (std::vector<Index>{1, 3, 0}));
  EXPECT_NEAR(gradient.predicted, 0.6, 1e-15);
  EXPECT_TRUE(std::isnan(stage(f, w, 2, {.score = PruneScore::magnitude}).predicted));
  const Removed a = stage(f, w, 2, {.score = PruneScore::random, .seed = 5});
  EXPECT_EQ(removed(a), removed(stage(f, w, 2, {.score = PruneScore::random, .seed = 5})));
  std::map<std::vector<Index>, int> draws;
  for (std::uint64_t seed = 0; seed < 60; ++seed)
    ++draws[removed(stage(f, w, 1, {.score = PruneScore::random, .seed = seed}))];
  EXPECT_EQ(draws.size(), 4U) << "each of four is drawn first in 60 draws, but for 4 (3/4)^60";
}

TEST_P(RemovalTest, RemovedParametersAreZeroAndTheOthersStay) {
  const Numbers w{3, -2, 1, -4};
  Bowl<double> f(context(), diagonal({1, 1, 1, 1}), w);
  const Removed r = stage(f, w, 2, {.score = PruneScore::magnitude});
  EXPECT_EQ(r.theta, (Numbers{3, 0, 0, -4}));
  EXPECT_EQ(r.mask.kept, (std::vector<std::uint8_t>{1, 0, 0, 1}));
  EXPECT_FALSE(std::signbit(r.theta[1]));
}

TEST_P(RemovalTest, ObsPredictsAQuadraticAtItsMinimum) {
  const std::size_t n = 20;
  const Numbers q = orthonormal(n, 1), w = test::random_numbers(n, 2);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = 0.2 + static_cast<double>(i) / 4;
  Bowl<double> f(context(), with_spectrum(q, values), w);
  for (const PruneScore score : {PruneScore::obs, PruneScore::hsp_saliency}) {
    RemovalRule rule{.score = score};
    rule.flat = parse_flat_set("threshold:0");  // nothing is flat: the spectral model is the Hessian
    const Removed r = stage(f, w, 12, rule);
    const Buffer<double> theta(context(), r.theta);
    EXPECT_NEAR(r.predicted, f.value(theta.data()), 1e-12 * r.predicted) << name_of(score);
    rule.compensate = false;
    const Removed plain = stage(f, w, 12, rule);
    EXPECT_EQ(removed(plain), removed(r));
    for (std::size_t j = 0; j < n; ++j) EXPECT_EQ(plain.theta[j], plain.mask.kept[j] != 0 ? w[j] : 0);
  }
}

TEST_P(RemovalTest, WatchersSeeTheRoad) {
  // On a quadratic every prefix costs what it was predicted to.
  const std::size_t n = 20;
  const Numbers q = orthonormal(n, 15), w = test::random_numbers(n, 16);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = 0.2 + static_cast<double>(i) / 4;
  Bowl<double> f(context(), with_spectrum(q, values), w);
  for (const PruneScore score : {PruneScore::obs, PruneScore::magnitude}) {
    std::vector<Index> counts;
    RemovalTarget target{12};
    target.points = 5;
    target.watch = [&](Index removals, double predicted, const Numbers& theta) {
      counts.push_back(removals);
      EXPECT_EQ(std::count(theta.begin(), theta.end(), 0.0), removals);
      const Buffer<double> x(context(), theta);
      EXPECT_EQ(std::isnan(predicted), score == PruneScore::magnitude);
      if (score == PruneScore::obs) {
        EXPECT_NEAR(f.value(x.data()), predicted, 1e-12);
      }
    };
    remove_parameters<double>(f, w, Mask::all(20), target, {.score = score, .damping = 0});
    EXPECT_EQ(counts, (std::vector<Index>{2, 4, 7, 9, 12})) << name_of(score);
  }
}

TEST_P(RemovalTest, BlocksOfObsAreThoseOfTheMatrix) {
  const std::size_t n = 18;
  const Numbers q = orthonormal(n, 3), w = test::random_numbers(n, 4);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = 0.5 + static_cast<double>(i) / 6;
  Numbers a = with_spectrum(q, values);
  Bowl<double> full(context(), a, w, {{"a", 0, {10}}, {"b", 10, {8}}});
  // Runs of at most 6: [0, 6), [6, 10), [10, 16), [16, 18).
  const auto run = [](std::size_t j) { return j < 6 ? 0 : j < 10 ? 1 : j < 16 ? 2 : 3; };
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      if (run(i) != run(j)) a[i * n + j] = 0;
  Bowl<double> blocked(context(), a, w);
  const Removed got = stage(full, w, 9, {.score = PruneScore::obs, .block = 6});
  const Removed expected = stage(blocked, w, 9, {.score = PruneScore::obs});
  EXPECT_EQ(removed(got), removed(expected));
  for (std::size_t j = 0; j < n; ++j) EXPECT_NEAR(got.theta[j], expected.theta[j], 1e-12);
}

/// s_j of the kept parameters.
Numbers flat_scores(Objective<double>& f, const Numbers& theta, RemovalRule rule, std::optional<FlatReport>& report) {
  const Mask mask = Mask::all(static_cast<Index>(theta.size()));
  detail::Stage<double> stage = detail::make_stage<double>(f, theta, mask, {1}, rule);
  Numbers out = detail::flat_scores(stage);
  for (double& s : out) s = -s;
  report = stage.flat;
  return out;
}

TEST_P(RemovalTest, HspIsTheProjectorWhateverTheBasisOfACluster) {
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

TEST_P(RemovalTest, FlatSetsByCountThresholdMassAndOrder) {
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

TEST_P(RemovalTest, TheLiteralRuleFollowsTheFirstEigenvector) {
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

TEST_P(RemovalTest, HspByRankIsTheComplementOfTheLargest) {
  const std::size_t n = 24;
  const Numbers q = orthonormal(n, 9), w = test::random_numbers(n, 10);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = i < 18 ? 1e-3 * static_cast<double>(i + 1) : static_cast<double>(i);
  Bowl<double> f(context(), with_spectrum(q, values), w);
  RemovalRule all{.score = PruneScore::hsp}, some{.score = PruneScore::hsp, .rank = 6};
  all.flat = parse_flat_set("count:18");
  EXPECT_EQ(removed(stage(f, w, 10, some)), removed(stage(f, w, 10, all)));
}

TEST_P(RemovalTest, SaliencyByRankIsThatOfTheSpectralModel) {
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

TEST_P(RemovalTest, RulesKeepWhatTheySay) {
  const Numbers w{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.01, 0.02, 5, 6, 7, 8, 9, 10};
  Bowl<double> f(context(), diagonal(Numbers(14, 1)), w,
                 {{"0.weight", 0, {2, 3}}, {"0.bias", 6, {2}}, {"2.weight", 8, {2, 3}}});
  const auto gone = [&](const RemovalRule& rule, Index count, double sparsity = 0) {
    std::vector<Index> out = removed(remove_parameters<double>(f, w, Mask::all(14), {count, sparsity}, rule));
    std::sort(out.begin(), out.end());
    return out;
  };
  RemovalRule rule{.score = PruneScore::magnitude};
  // Biases stay, and a tensor keeps one.
  EXPECT_EQ(gone(rule, 7), (std::vector<Index>{0, 1, 2, 3, 4, 8, 9}));
  rule.biases = true;
  EXPECT_EQ(gone(rule, 3), (std::vector<Index>{0, 1, 6}));
  rule.keep = 0;
  EXPECT_EQ(gone(rule, 9), (std::vector<Index>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  rule = {.score = PruneScore::magnitude};
  rule.per_layer = true;
  EXPECT_EQ(gone(rule, 0, 0.5), (std::vector<Index>{0, 1, 2, 8, 9, 10}));
  rule = {.score = PruneScore::magnitude};
  rule.pattern = NofM{1, 3};
  EXPECT_EQ(gone(rule, 0), (std::vector<Index>{0, 1, 3, 4, 8, 9, 11, 12}));
  rule.pattern = NofM{1, 2};  // a rest of one at the end of every row
  EXPECT_EQ(gone(rule, 0), (std::vector<Index>{0, 3, 8, 11}));
  rule = {.score = PruneScore::magnitude};
  rule.tensors = {"2.weight"};
  EXPECT_EQ(gone(rule, 2), (std::vector<Index>{8, 9}));
  rule.tensors = {"2.wieght"};
  EXPECT_EQ(test::message_of<UsageError>([&] { gone(rule, 2); }).find("did you mean '2.weight'") != std::string::npos,
            true);
}

TEST_P(RemovalTest, PatternsHoldInBlocksThatWouldCutThem) {
  const std::size_t n = 48;
  const Numbers q = orthonormal(n, 13), w = test::random_numbers(n, 14);
  Numbers values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = 0.5 + static_cast<double>(i) / 16;
  Bowl<double> f(context(), with_spectrum(q, values), w, {{"0.weight", 0, {4, 12}}});
  const RemovalRule rule{.score = PruneScore::obs, .block = 10, .pattern = NofM{2, 4}};
  const Removed r = stage(f, w, 0, rule);
  for (std::size_t first = 0; first < n; first += 4) {
    int kept = 0;
    for (std::size_t j = first; j < first + 4; ++j) kept += r.mask.kept[j];
    EXPECT_EQ(kept, 2) << first;
  }
}

TEST_P(RemovalTest, BlocksThatAreNotPositiveDefiniteCompensateInTheirReplacement) {
  // Blocks of two, [[0, 1], [1, 0]] and its |.|, the identity: a removal moves nothing.
  const Numbers a{0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0.5, 0, 0, 0.5, 2}, w{1, 2, 3, 4};
  Bowl<double> f(context(), a, w, {{"a", 0, {2}}, {"b", 2, {2}}});
  const Removed r = stage(f, w, 1, {.score = PruneScore::obs, .block = 2});
  EXPECT_EQ(removed(r), (std::vector<Index>{0}));
  EXPECT_NEAR(r.predicted, 0.5, 1e-14);
  EXPECT_NEAR(r.theta[1], 2, 1e-14);
  EXPECT_EQ(r.notes.size(), 1U);
}

TEST_P(RemovalTest, MasksCompose) {
  const Numbers w{1, 2, 3, 4, 5, 6};
  Bowl<double> f(context(), diagonal(Numbers(6, 1)), w);
  const Removed first = stage(f, w, 2, {.score = PruneScore::magnitude});
  const Removed second = remove_parameters<double>(f, first.theta, first.mask, {2}, {.score = PruneScore::obs});
  EXPECT_EQ(second.mask.kept, (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 1}));
  Numbers revived = first.theta;
  revived[0] = 1;
  EXPECT_THROW(remove_parameters<double>(f, revived, first.mask, {1}, {.score = PruneScore::obs}), InputError);
}

TEST_P(RemovalTest, ObsOfAPartIsObsOfItsBlock) {
  // With most parameters gone the curvature comes from products, otherwise from the matrix.
  const std::size_t n = 20;
  const Numbers q = orthonormal(n, 11);
  Numbers w = test::random_numbers(n, 12), values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = 0.5 + static_cast<double>(i) / 8;
  const Numbers a = with_spectrum(q, values);
  for (const std::size_t m : {std::size_t{7}, std::size_t{14}}) {
    Mask mask = Mask::all(static_cast<Index>(n));
    Numbers theta = w, small(m * m), kept(w.begin(), w.begin() + static_cast<std::ptrdiff_t>(m));
    for (std::size_t j = m; j < n; ++j) mask.kept[j] = 0, theta[j] = 0;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < m; ++j) small[i * m + j] = a[i * n + j];
    Bowl<double> f(context(), a, w), g(context(), small, kept);
    const RemovalRule rule{.score = PruneScore::obs, .damping = 0};
    const Removed got = remove_parameters<double>(f, theta, mask, {4}, rule);
    const Removed expected = remove_parameters<double>(g, kept, Mask::all(static_cast<Index>(m)), {4}, rule);
    EXPECT_EQ(removed(got), removed(expected));
    for (std::size_t j = 0; j < m; ++j) EXPECT_NEAR(got.theta[j], expected.theta[j], 1e-12);
  }
}

TEST_P(RemovalTest, KroneckerRowsAreExactForALinearModel) {
  // squared_error of one linear layer: H = I (x) A, so B = I and both see the same matrix.
  test::Setting<double> s(context(), "mlp:5-3", LossKind::squared_error, 40);
  auto f = s.objective();
  const Numbers theta = s.theta.download();
  RemovalRule rule{.score = PruneScore::obs, .damping = 0, .biases = true, .keep = 0};
  const Removed dense = remove_parameters<double>(f, theta, Mask::all(s.n()), {9}, rule);
  rule.score = PruneScore::kfac_obs;
  const Removed rows = remove_parameters<double>(f, theta, Mask::all(s.n()), {9}, rule);
  EXPECT_EQ(removed(rows), removed(dense));
  for (std::size_t j = 0; j < theta.size(); ++j) EXPECT_NEAR(rows.theta[j], dense.theta[j], 1e-10) << j;
}

TEST_P(RemovalTest, FisherIsTheEmpiricalFisherMatrix) {
  test::Setting<double> s(context(), "mlp:4-3-3", LossKind::cross_entropy, 30);
  auto f = s.objective();
  const Numbers theta = s.theta.download();
  RemovalRule rule{.score = PruneScore::fisher, .damping = 0.1};
  const Removed samples = remove_parameters<double>(f, theta, Mask::all(s.n()), {8}, rule);
  rule.score = PruneScore::obs;
  rule.curvature = Curvature::fisher_empirical;
  const Removed matrix = remove_parameters<double>(f, theta, Mask::all(s.n()), {8}, rule);
  EXPECT_EQ(removed(samples), removed(matrix));
  for (std::size_t j = 0; j < theta.size(); ++j) EXPECT_NEAR(samples.theta[j], matrix.theta[j], 1e-9) << j;
}

TEST_P(RemovalTest, SameArgumentsSameMask) {
  test::for_types([&]<class T>() {
    test::Setting<T> s(context(), "mlp:6-5-3", LossKind::cross_entropy, 30);
    auto f = s.objective();
    const Numbers theta = test::widen(s.theta.download());
    for (const std::string& name : prune_score_names()) {
      const RemovalRule rule{.score = parse_prune_score(name), .damping = 1e-2, .seed = 3};
      const Removed a = remove_parameters<T>(f, theta, Mask::all(s.n()), {20}, rule);
      const Removed b = remove_parameters<T>(f, theta, Mask::all(s.n()), {20}, rule);
      EXPECT_EQ(a.mask, b.mask) << name;
      EXPECT_EQ(a.theta, b.theta) << name;
      EXPECT_EQ(a.mask.count(), s.n() - 20) << name;
    }
  });
}

TEST_P(RemovalTest, SaysWhatIsWrong) {
  const Numbers w{1, 2, 3};
  Bowl<double> f(context(), diagonal({1, 1, 1}), w);
  const auto message = [&](const RemovalRule& rule, const Mask& mask = Mask::all(3)) {
    return test::message_of<Error>([&] { remove_parameters<double>(f, w, mask, {1}, rule); });
  };
  EXPECT_NE(message({.score = PruneScore::kfac_obs}).find("needs a network"), std::string::npos);
  EXPECT_NE(message({.score = PruneScore::fisher}).find("needs a network"), std::string::npos);
  EXPECT_NE(message({.damping = -1}).find("damping -1"), std::string::npos);
  EXPECT_NE(message({}, Mask::all(2)).find("expected 3"), std::string::npos);
  Bowl<double> broken(context(), diagonal({1, NAN, 1}), w);
  EXPECT_THROW(remove_parameters<double>(broken, w, Mask::all(3), {1}, {.score = PruneScore::obs}), NumericalError);
  EXPECT_THROW(parse_prune_score("obz"), UsageError);
}

}  // namespace
}  // namespace hso
