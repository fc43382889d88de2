// SPDX-License-Identifier: Apache-2.0
//
// What optimizers see of a masked network, and what they leave of it.
#include "hsogpu/objective/adapters.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"

namespace hso::test {
namespace {

class Masked : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Masked, testing::ValuesIn(contexts()), device_word);

/// About `share` of n parameters removed.
Mask random_mask(Index n, double share, std::uint64_t seed = 5) {
  Mask mask = Mask::all(n);
  const std::vector<double> r = random_numbers(static_cast<std::size_t>(n), seed);
  const auto limit = [&] {
    std::vector<double> sorted = r;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(share * static_cast<double>(n))];
  }();
  for (std::size_t i = 0; i < r.size(); ++i) mask.kept[i] = r[i] < limit ? 0 : 1;
  return mask;
}

template <class T>
Setting<T> small(Context& context) {
  return Setting<T>(context, "mlp:3-4-3:tanh", LossKind::cross_entropy, 20);
}

TEST(Mask, CountsAndComposes) {
  EXPECT_EQ(Mask{}.sparsity(), 0);
  EXPECT_EQ(Mask::all(4).count(), 4);
  Mask a{{1, 0, 1, 1}};
  EXPECT_EQ(a.size(), 4);
  EXPECT_EQ(a.count(), 3);
  EXPECT_EQ(a.sparsity(), 0.25);
  a &= Mask{{1, 1, 0, 1}};
  EXPECT_EQ(a, (Mask{{1, 0, 0, 1}}));
  EXPECT_TRUE(contains(message_of<InputError>([&] { a &= Mask::all(3); }), "4 parameters", "3"));
}

/// F is f at P theta, and depends on nothing else: its gradient is P g, and agrees with differences of F.
TEST_P(Masked, ValueAndGradientAreThoseOfWhatIsLeft) {
  auto s = small<double>(context());
  auto f = s.objective({.weight_decay = 0.1});
  const Mask mask = random_mask(s.n(), 0.4);
  MaskedObjective<double> masked(f, mask, {.l1 = 0.05});
  Numbers theta = random_numbers(static_cast<std::size_t>(s.n()), 3);
  const auto value = [&](const Numbers& at) {
    return masked.value(Buffer<double>(context(), Span<const double>(at)).data());
  };
  const Buffer<double> point(context(), Span<const double>(theta));
  Buffer<double> g(context(), s.n());
  const double at_point = masked.gradient(point.data(), g.data());
  EXPECT_NEAR(at_point, value(theta), 1e-14 * at_point);
  EXPECT_EQ(masked.layout().size(), f.layout().size());
  const Numbers gradient = g.download();
  const double h = std::cbrt(std::numeric_limits<double>::epsilon());
  for (std::size_t i = 0; i < theta.size(); ++i) {
    Numbers up = theta, down = theta;
    up[i] += h;
    down[i] -= h;
    // Truncation h^2 / 6 f''' and rounding eps f / h, both below 1e-9 here.
    EXPECT_NEAR(gradient[i], (value(up) - value(down)) / (2 * h), 1e-8) << i;
    if (mask.kept[i] == 0) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(gradient[i]), 0u) << i;
    }
  }
  double norm = 0;
  for (std::size_t i = 0; i < theta.size(); ++i) norm += mask.kept[i] != 0 ? std::abs(theta[i]) : 0;
  EXPECT_NEAR(masked.penalty(point.data()), 0.05 * norm, 1e-14);
}

TEST_P(Masked, L1AloneHasTheSubgradientOfSignsAndZeroAtZero) {
  for_types([&]<class T>() {
    auto s = small<T>(context());
    auto f = s.objective();
    MaskedObjective<T> penalised(f, {}, {.l1 = 0.25});
    std::vector<T> theta = s.theta.download();
    theta[1] = 0;
    theta[2] = T(-0.0);
    const Buffer<T> point(context(), Span<const T>(theta));
    Buffer<T> g(context(), s.n()), plain(context(), s.n());
    penalised.gradient(point.data(), g.data());
    f.gradient(point.data(), plain.data());
    const auto a = g.download(), b = plain.download();
    for (std::size_t i = 0; i < a.size(); ++i) {
      const T sign = theta[i] > 0 ? 1 : theta[i] < 0 ? -1 : 0;
      EXPECT_EQ(a[i], b[i] + T(0.25) * sign) << i;
    }
    Numbers dense = s.dense(penalised, Curvature::hessian), inner = s.dense(f, Curvature::hessian);
    EXPECT_EQ(dense, inner) << "no part of the penalty";
  });
}

/// P A P from products, the dense matrix and diagonal blocks, against A with rows and columns removed on the host.
TEST_P(Masked, CurvatureIsProjectedFromBothSides) {
  for_types([&]<class T>() {
    auto s = small<T>(context());
    auto f = s.objective();
    const Mask mask = random_mask(s.n(), 0.5);
    MaskedObjective<T> masked(f, mask);
    const auto n = static_cast<std::size_t>(s.n());
    std::vector<T> at = s.theta.download();
    for (std::size_t i = 0; i < n; ++i) at[i] = mask.kept[i] != 0 ? at[i] : T(0);
    const std::vector<T> whole = s.theta.download();
    for (const Curvature kind : {Curvature::hessian, Curvature::ggn, Curvature::fisher_empirical}) {
      s.theta.upload(at);
      Numbers expected = s.dense(f, kind);
      s.theta.upload(whole);
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
          if (mask.kept[i] == 0 || mask.kept[j] == 0) expected[i * n + j] = 0;
      EXPECT_EQ(s.dense(masked, kind), expected) << name_of(kind);
      const auto a = masked.curvature(s.theta.data(), kind);
      Buffer<T> products(context(), s.n() * s.n()), block(context(), 5 * 5);
      a->LinearOperator<T>::to_dense(products.data());  // by lanes of the identity
      EXPECT_LE(worst(widen(products.download()), expected), 50 * std::numeric_limits<T>::epsilon());
      a->diagonal_block(3, 5, block.data());
      const auto b = block.download();
      for (std::size_t i = 0; i < 25; ++i)
        EXPECT_NEAR(b[i], expected[(3 + i / 5) * n + 3 + i % 5], 50 * std::numeric_limits<T>::epsilon());
    }
  });
}

TEST_P(Masked, RemovedEntriesAreNotReadNotEvenWhatIsNotFinite) {
  auto s = small<float>(context());
  auto f = s.objective();
  const Mask mask = random_mask(s.n(), 0.3);
  MaskedObjective<float> masked(f, mask, {.l1 = 1e-3});
  std::vector<float> theta = s.theta.download();
  const double clean = masked.value(s.theta.data());
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (mask.kept[i] == 0) theta[i] = std::numeric_limits<float>::quiet_NaN();
  s.theta.upload(theta);
  EXPECT_EQ(masked.value(s.theta.data()), clean);
  Buffer<float> v(context(), Span<const float>(theta)), hv(context(), s.n());
  masked.curvature(s.theta.data(), Curvature::ggn)->apply(v.view(), hv.view());
  EXPECT_TRUE(std::isfinite(context().ops<float>().max_abs(s.n(), hv.data())));
}

/// Five steps of a method on a masked network: removed entries are +0 to the bit after each, kept ones have moved.
template <class T>
void expect_masked_steps(Context& context, const std::string& name, const OptimizerSettings& settings,
                         const std::vector<std::string>& wrappers = {}) {
  auto s = small<T>(context);
  auto f = s.objective();
  const Mask mask = random_mask(s.n(), 0.4);
  MaskedObjective<T> masked(f, mask);
  auto optimizer = make_masked<T>(make_wrapped<T>(make_optimizer<T>(name, settings), wrappers), mask);
  const std::vector<T> start = s.theta.download();
  for (int step = 0; step < 5; ++step) {
    const StepReport report = optimizer->step(masked, s.theta.data());
    ASSERT_EQ(report.status, StepStatus::accepted) << name << " step " << step << ": " << report.message;
    const std::vector<T> theta = s.theta.download();
    std::vector<T> moved(theta.size());
    context.to_host(optimizer->displacement(), moved.data(), s.n() * static_cast<Index>(sizeof(T)));
    for (std::size_t i = 0; i < theta.size(); ++i) {
      if (mask.kept[i] != 0) continue;
      ASSERT_TRUE(theta[i] == 0 && !std::signbit(theta[i])) << name << " step " << step << " parameter " << i;
      ASSERT_EQ(moved[i], 0) << name;
    }
  }
  const std::vector<T> theta = s.theta.download();
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (mask.kept[i] != 0) {
      EXPECT_NE(theta[i], start[i]) << name << " parameter " << i;
    }
}

TEST_P(Masked, EveryOptimizerLeavesRemovedParametersAtZero) {
  for_types([&]<class T>() {
    for (const OptimizerInfo& info : optimizer_table()) expect_masked_steps<T>(context(), info.name, {});
  });
  expect_masked_steps<double>(context(), "sophia", {{"estimator", "gnb"}});
  expect_masked_steps<double>(context(), "hso.cg", {{"preconditioner", "kfac"}});
  expect_masked_steps<double>(context(), "sgd", {}, {"momentum", "weight_decay:0.1", "cosine:9"});
  expect_masked_steps<double>(context(), "kfac", {}, {"clip_gradient:0.1"});
}

TEST(MaskedStep, RefusedLeavesEveryBit) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto cpu = Context::create("cpu");
  Callback bad(*cpu, 3, [nan](const double* x, double* g) {
    if (g != nullptr) g[0] = nan, g[1] = 1, g[2] = 1;
    return x[0];
  });
  const auto optimizer = make_masked<double>(make_optimizer<double>("sgd"), Mask{{1, 0, 1}});
  std::vector<double> x{1, 2, 3};
  EXPECT_EQ(optimizer->step(bad, x.data()).status, StepStatus::not_finite);
  EXPECT_EQ(x, (std::vector<double>{1, 2, 3}));
}

/// K-FAC under a mask that removes nothing, or through a clip that never clips, is K-FAC; a clip that does is not.
TEST_P(Masked, LayersAreSeenThroughWrappers) {
  const auto trained = [&](const char* name, const OptimizerSettings& settings, const char* clip, bool mask) {
    auto s = small<double>(context());
    auto f = s.objective();
    MaskedObjective<double> masked(f, mask ? Mask::all(s.n()) : Mask{});
    auto optimizer = make_optimizer<double>(name, settings);
    if (*clip != '\0') optimizer = make_wrapped<double>(std::move(optimizer), {clip});
    for (int i = 0; i < 4; ++i) optimizer->step(masked, s.theta.data());
    return s.theta.download();
  };
  const OptimizerSettings gnb{{"estimator", "gnb"}};
  for (const auto& [name, settings] :
       std::vector<std::pair<const char*, OptimizerSettings>>{{"kfac", {}}, {"ekfac", {}}, {"sophia", gnb}}) {
    const auto plain = trained(name, settings, "", false);
    EXPECT_EQ(trained(name, settings, "", true), plain) << name;
    EXPECT_EQ(trained(name, settings, "clip_gradient:1e6", true), plain) << name;
    EXPECT_NE(trained(name, settings, "clip_gradient:1e-3", true), plain) << name;
  }
}

TEST_P(Masked, WhatDoesNotFitIsRefused) {
  auto s = small<double>(context());
  auto f = s.objective();
  EXPECT_TRUE(contains(message_of<InputError>([&] { MaskedObjective<double>(f, Mask::all(3)); }), "3 parameters"));
  EXPECT_TRUE(contains(message_of<UsageError>([&] { MaskedObjective<double>(f, {}, {.l1 = -1}); }), "l1 = -1"));
  const auto optimizer = make_masked<double>(make_optimizer<double>("sgd"), Mask::all(3));
  EXPECT_TRUE(contains(message_of<InputError>([&] { optimizer->step(f, s.theta.data()); }), "3 parameters"));
}

}  // namespace
}  // namespace hso::test
