// SPDX-License-Identifier: Apache-2.0
//
// Shampoo, SOAP and Muon against float64 code written from the papers, and what all preconditioned methods share.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/matrix_methods.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"

namespace hso::test {
namespace {

class Preconditioned : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Preconditioned, testing::ValuesIn(contexts()), device_word);

/// Two layers, the first taller than wide and the second square, all statistics of full rank in the long run.
const char* const kModel = "mlp:3-4-4:tanh";

/// Steps of the library beside the reference's, which sees the float64 gradients at the same points: errors do not
/// accumulate through theta. Returns the largest deviation over the largest entry of a step.
template <class T, class Reference>
double deviation(Context& context, const std::string& model, const std::string& name, const OptimizerSettings& settings,
                 Reference reference, int steps) {
  Setting<T> s(context, model, LossKind::squared_error, 30);
  Setting<double> exact(context, model, LossKind::squared_error, 30);
  auto f = s.objective();
  auto f64 = exact.objective();
  reference.tensors = tensors_of(s.network.parameters);
  const auto optimizer = make_optimizer<T>(name, settings);
  Buffer<double> g(context, s.n());
  double worst_so_far = 0;
  for (int i = 0; i < steps; ++i) {
    const Numbers before = widen(s.theta.download());
    exact.theta.upload(before);
    f64.gradient(exact.theta.data(), g.data());
    const Numbers expected = reference.step(g.download());
    const StepReport r = optimizer->step(f, s.theta.data());
    EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
    Numbers moved = widen(s.theta.download());
    for (std::size_t k = 0; k < moved.size(); ++k) moved[k] -= before[k];
    worst_so_far = std::max(worst_so_far, worst(moved, expected));
  }
  return worst_so_far;
}

/// Rounding over the step, which is a hundredth of theta and less, times what roots and bases amplify.
template <class T>
constexpr double kClose = sizeof(T) == 8 ? 1e-10 : 5e-3;

TEST_P(Preconditioned, ShampooIsThePapers) {
  const auto reference = [](double momentum, double beta, std::size_t refresh, std::size_t longest, bool graft) {
    return ReferenceShampoo{{}, 0.1, momentum, beta, 0.01, refresh, longest, graft};
  };
  const OptimizerSettings base{{"rate", "0.1"}, {"epsilon", "0.01"}};
  for_types([&]<class T>() {
    const auto check = [&](const OptimizerSettings& more, const ReferenceShampoo& r) {
      EXPECT_LE((deviation<T>(context(), kModel, "shampoo", with(base, more), r, 5)), kClose<T>);
    };
    check({{"momentum", "0"}, {"refresh", "1"}}, reference(0, 1, 1, 99, false));
    check({{"momentum", "0.5"}, {"refresh", "2"}, {"beta", "0.9"}}, reference(0.5, 0.9, 2, 99, false));
    check({{"max_dimension", "3"}, {"refresh", "1"}}, reference(0.9, 1, 1, 3, false));
    check({{"graft", "sgd"}, {"refresh", "3"}}, reference(0.9, 1, 3, 99, true));
  });
}

TEST_P(Preconditioned, SoapIsThePapers) {
  for_types([&]<class T>() {
    for (const auto& [refresh, longest] : {std::pair<std::size_t, std::size_t>{1, 99}, {3, 99}, {2, 3}}) {
      const OptimizerSettings settings{{"rate", "0.02"},
                                       {"epsilon", "1e-4"},
                                       {"shampoo_beta", "0.8"},
                                       {"refresh", std::to_string(refresh)},
                                       {"max_dimension", std::to_string(longest)}};
      const ReferenceSoap r{{}, 0.02, 0.95, 0.95, 1e-4, 0.8, refresh, longest};
      EXPECT_LE((deviation<T>(context(), "mlp:3-3-3:tanh", "soap", settings, r, 6)), kClose<T>) << refresh;
    }
  });
}

TEST_P(Preconditioned, MuonIsTheAuthors) {
  for_types([&]<class T>() {
    for (const bool nesterov : {true, false}) {
      const ReferenceMuon r{{}, 0.02, 0.9, nesterov, 0.003, 0.9, 0.95, 1e-10};
      const OptimizerSettings settings{{"momentum", "0.9"}, {"nesterov", nesterov ? "true" : "false"}};
      for (const char* model : {kModel, "mlp:5-3-4:tanh"})
        EXPECT_LE((deviation<T>(context(), model, "muon", settings, r, 5)), kClose<T>) << model;
    }
  });
}

/// hidden_only leaves a network of two layers to Adam.
TEST_P(Preconditioned, MuonOfHiddenLayersAlone) {
  Setting<double> a(context(), kModel, LossKind::squared_error, 20), b(context(), kModel, LossKind::squared_error, 20);
  auto f = a.objective();
  const auto muon = make_optimizer<double>("muon", {{"hidden_only", "true"}, {"beta2", "0.999"}, {"epsilon", "1e-8"}});
  const auto adam = make_optimizer<double>("adam", {{"rate", "0.003"}});
  for (int i = 0; i < 3; ++i) {
    muon->step(f, a.theta.data());
    adam->step(f, b.theta.data());
  }
  EXPECT_EQ(a.theta.download(), b.theta.download());
}

/// All singular values of a Muon step are near 1 times rate and shape, whatever the gradient's are.
TEST_P(Preconditioned, MuonStepsAreNearlyOrthogonal) {
  Setting<double> s(context(), "mlp:6-4:tanh", LossKind::squared_error, 40);
  auto f = s.objective();
  const Numbers before = s.theta.download();
  make_optimizer<double>("muon", {{"rate", "1"}})->step(f, s.theta.data());
  const Numbers after = s.theta.download();
  Matrix x(4, 6);
  for (std::size_t i = 0; i < 24; ++i) x.entries[i] = after[i] - before[i];
  for (double square : jacobi(x * transposed(x)).values) {
    EXPECT_GT(std::sqrt(square), 0.6);
    EXPECT_LT(std::sqrt(square), 1.3);
  }
}

const std::vector<std::pair<std::string, OptimizerSettings>> kMethods{
    {"adahessian", {{"rate", "0.05"}}},
    {"adahessian", {{"rate", "0.05"}, {"spatial", "row"}, {"refresh", "3"}}},
    {"sophia", {{"rate", "0.01"}}},
    {"sophia", {{"rate", "0.01"}, {"estimator", "gnb"}}},
    {"kfac", {}},
    {"kfac", {{"factors", "fisher_empirical"}, {"inverse_every", "5"}}},
    {"ekfac", {{"factors", "ggn"}, {"inverse_every", "5"}, {"factor_every", "2"}}},
    {"shampoo", {}},
    {"soap", {{"rate", "0.01"}}},
    {"muon", {}}};

TEST_P(Preconditioned, EveryMethodTrainsANetworkAndAllocatesNothingOnTheWay) {
  for_types([&]<class T>() {
    for (const auto& [name, settings] : kMethods) {
      SCOPED_TRACE(name);
      Setting<T> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
      auto f = s.objective({.batch = 25, .weight_decay = 1e-3});
      const double start = f.value(s.theta.data());
      const auto optimizer = make_optimizer<T>(name, settings);
      const auto take = [&](int steps) {
        for (int i = 0; i < steps; ++i) {
          const StepReport r = optimizer->step(f, s.theta.data());
          EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
        }
      };
      take(1);
      const Index made = context().allocation_count();
      take(20);
      EXPECT_EQ(context().allocation_count(), made);
      EXPECT_LT(f.value(s.theta.data()), 0.97 * start);
    }
  });
}

/// Infinite data: nothing moves, and the next good step is one from the start.
TEST_P(Preconditioned, NonFiniteStepsLeaveNoTrace) {
  for (const auto& [name, settings] : kMethods) {
    SCOPED_TRACE(name);
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 30);
    auto f = s.objective();
    const Numbers good = s.theta.download();
    Numbers bad = good;
    bad[3] = std::numeric_limits<double>::quiet_NaN();
    const auto tried = make_optimizer<double>(name, settings), fresh = make_optimizer<double>(name, settings);
    s.theta.upload(bad);
    EXPECT_EQ(tried->step(f, s.theta.data()).status, StepStatus::not_finite);
    s.theta.upload(good);
    tried->step(f, s.theta.data());
    const Numbers after = s.theta.download();
    s.theta.upload(good);
    fresh->step(f, s.theta.data());
    EXPECT_EQ(after, s.theta.download());
  }
}

TEST_P(Preconditioned, BadOptionsAreRefused) {
  const auto refused = [](const std::string& name, const OptimizerSettings& settings) {
    return message_of<UsageError>([&] { make_optimizer<double>(name, settings); });
  };
  for (const char* name : {"adahessian", "sophia", "kfac", "ekfac", "shampoo", "soap", "muon"})
    EXPECT_TRUE(contains(refused(name, {{"rate", "-1"}}), name, "rate = -1"));
  for (const char* name : {"kfac", "ekfac"}) {
    EXPECT_TRUE(contains(refused(name, {{"delta", "0"}}), "delta"));
    EXPECT_TRUE(contains(refused(name, {{"factor_every", "0"}}), "factor_every"));
    EXPECT_TRUE(contains(refused(name, {{"factors", "hessian"}}), "fisher_mc"));
  }
  EXPECT_TRUE(contains(refused("adahessian", {{"spatial", "column"}}), "kernel"));
  EXPECT_TRUE(contains(refused("adahessian", {{"power", "2"}}), "power"));
  EXPECT_TRUE(contains(refused("sophia", {{"estimator", "exact"}}), "gnb"));
  EXPECT_TRUE(contains(refused("sophia", {{"gamma", "0"}}), "gamma"));
  EXPECT_TRUE(contains(refused("shampoo", {{"graft", "lamb"}}), "sgd"));
  EXPECT_TRUE(contains(refused("shampoo", {{"beta", "1.1"}}), "beta"));
  EXPECT_TRUE(contains(refused("soap", {{"refresh", "0"}}), "refresh"));
  EXPECT_TRUE(contains(refused("muon", {{"iterations", "0"}}), "iterations"));
  const auto cpu = Context::create("cpu");
  Quadratic f(*cpu, {2, 0, 0, 1}, {1, 1});
  Numbers x{1, 1};
  for (const auto& [name, settings] :
       {std::pair<std::string, OptimizerSettings>{"kfac", {}}, {"ekfac", {}}, {"sophia", {{"estimator", "gnb"}}}})
    EXPECT_THROW(make_optimizer<double>(name, settings)->step(f, x.data()), UsageError) << name;
}

}  // namespace
}  // namespace hso::test
