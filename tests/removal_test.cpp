// SPDX-License-Identifier: Apache-2.0
//
// One stage of pruning: what each score removes, and what the rule keeps.
#include "hsogpu/prune/removal.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "hsogpu/core/error.hpp"
#include "support/bowl.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso {
namespace {

using test::Bowl;
using test::diagonal;
using test::Numbers;
using test::orthonormal;
using test::removed;
using test::with_spectrum;

class RemovalTest : public test::RemovalOnDevice {};
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
