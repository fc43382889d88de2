// SPDX-License-Identifier: Apache-2.0
//
// With ContextOptions::deterministic a result does not depend on the number of threads.
#include <gtest/gtest.h>
#include <omp.h>

#include "backend/blas_threads.hpp"
#include "hsogpu/data/dataset.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/cases.hpp"
#include "support/contexts.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

using detail::BlasThreads;

/// Products of shapes that tiles cut unevenly, wide and narrow, alone and in batches.
TEST(Deterministic, ProductsAreTheSameForEveryNumberOfThreads) {
  const auto context = Context::create("cpu", {.deterministic = true});
  auto& ops = context->ops<float>();
  const std::vector<float> a = normal_numbers<float>(4 * 333 * 257, 1), b = normal_numbers<float>(4 * 257 * 129, 2);
  for (const auto& [m, n, k, batch] : {std::tuple<Index, Index, Index, Index>{333, 129, 257, 1},
                                       {333, 1, 257, 1},
                                       {3, 129, 257, 1},
                                       {333, 129, 257, 4},
                                       {64, 100, 50, 3}}) {
    const auto product = [&, m = m, n = n, k = k, batch = batch](int threads) {
      const BlasThreads set(threads);
      std::vector<float> c(static_cast<std::size_t>(batch * m * n));
      ops.gemm({m, n, k, a.data(), k, false, b.data(), n, false, c.data(), n, 1, 0, batch, m * k, k * n, m * n});
      return c;
    };
    const auto one = product(1);
    for (int threads : {2, 3, 5}) EXPECT_EQ(product(threads), one) << m << " x " << n << ", " << threads << " threads";
  }
}

TEST(Deterministic, FactorisationsAreTheSame) {
  const auto context = Context::create("cpu", {.deterministic = true});
  constexpr Index kN = 1100;  // LAPACK takes a second thread from 1024 on
  const auto factor = [&](int threads) {
    const BlasThreads set(threads);
    std::vector<double> a = normal_numbers<double>(kN * kN, 3);
    for (Index i = 0; i < kN; ++i) a[static_cast<std::size_t>(i * kN + i)] += 100;
    EXPECT_EQ(context->ops<double>().potrf(kN, a.data()), 0);
    return a;
  };
  EXPECT_EQ(factor(3), factor(1));
}

TEST(Deterministic, TrainingEndsAtTheSameBits) {
  const auto context = Context::create("cpu", {.deterministic = true});
  const auto end = [&](const char* model, const char* optimizer, int threads) {
    const BlasThreads set(threads);
    Setting<float> s(*context, model, LossKind::cross_entropy, 130);
    auto f = s.objective();
    const auto method = make_optimizer<float>(optimizer);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(method->step(f, s.theta.data()).status, StepStatus::accepted);
    return s.theta.download();
  };
  for (const auto& [model, optimizer] : {std::pair{"mlp:64-12-10", "hso"},
                                         {"mlp:64-300-10", "hso.kfac"},
                                         {"digits_cnn", "adam"},
                                         {"mlp:64-80-10", "lbfgs"}})
    EXPECT_EQ(end(model, optimizer, 3), end(model, optimizer, 1)) << model << ", " << optimizer;
}

}  // namespace
}  // namespace hso::test
