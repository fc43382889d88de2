// SPDX-License-Identifier: Apache-2.0
//
// What was made with a context may outlive it, and is used from one thread at a time.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "backend/cpu_context.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/objective/function_objective.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/optim/step_queue.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class Lifetime : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Lifetime, testing::ValuesIn(contexts()), device_word);

TEST_P(Lifetime, ABufferOutlivesItsContext) {
  auto own = Context::create(GetParam());
  Buffer<double> b(*own, Numbers{1, 2, 3});
  own.reset();
  EXPECT_EQ(b.download(), (Numbers{1, 2, 3}));
  b.upload(Numbers{4});
  EXPECT_EQ(b.download(), (Numbers{4, 2, 3}));
  const Buffer<double> moved = std::move(b);
  EXPECT_EQ(moved.download(), (Numbers{4, 2, 3}));
}

TEST_P(Lifetime, ObjectiveOperatorAndDataOutliveTheirContext) {
  auto own = Context::create(GetParam());
  Setting<double> s(*own, "mlp:5-4-3:tanh", LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  const double value = f.value(s.theta.data());
  Buffer<double> before(*own, s.n() * s.n()), after(*own, s.n() * s.n());
  h->to_dense(before.data());
  own.reset();
  EXPECT_EQ(f.value(s.theta.data()), value);
  h->to_dense(after.data());
  EXPECT_EQ(after.download(), before.download());
  Buffer<double> more(f.context(), 1);  // the context itself is still there
  auto second = s.objective();
  EXPECT_EQ(second.value(s.theta.data()), value);
}

/// Every method: steps on after its context, and is destroyed last of all.
TEST_P(Lifetime, EveryOptimizerOutlivesItsContext) {
  std::vector<std::unique_ptr<Optimizer<double>>> all;
  for (const OptimizerInfo& info : optimizer_table()) all.push_back(make_optimizer<double>(info.name));
  auto own = Context::create(GetParam());
  Setting<double> s(*own, "mlp:5-4-3:tanh", LossKind::cross_entropy, 20);
  auto f = s.objective();
  for (auto& optimizer : all) optimizer->step(f, s.theta.data());
  own.reset();
  for (auto& optimizer : all) EXPECT_TRUE(std::isfinite(optimizer->step(f, s.theta.data()).loss_before));
}

TEST_P(Lifetime, AQueueOfStepsOutlivesItsContext) {
  const auto optimizer = make_optimizer<float>("adam");
  auto own = Context::create(GetParam());
  Setting<float> s(*own, "mlp:5-4-3:tanh", LossKind::cross_entropy, 20);
  auto f = s.objective();
  StepQueue<float> queue(*own, *optimizer);
  for (int i = 0; i < 3; ++i) queue.push(f, s.theta.data());
  own.reset();
  for (int i = 0; i < 3; ++i) queue.push(f, s.theta.data());
  EXPECT_EQ(queue.look().taken, 6);
}

TEST_P(Lifetime, AFunctionOutlivesItsContext) {
  auto own = Context::create("cpu");
  FunctionObjective<double> f(*own, 2, {.value = [](const double* x, double* g) {
    if (g != nullptr) g[0] = 2 * x[0], g[1] = 8 * x[1];
    return x[0] * x[0] + 4 * x[1] * x[1];
  }});
  own.reset();
  Numbers x{1, 1};
  EXPECT_TRUE(minimize(f, x).converged());
}

/// Says when it goes.
class Watched final : public detail::CpuContext {
 public:
  explicit Watched(bool& gone) : CpuContext(ContextOptions{}), gone_(gone) {}
  ~Watched() override {
    destroy_arena();
    gone_ = true;
  }

 private:
  bool& gone_;
};

TEST(ContextShares, AContextGoesWithTheLastBuffer) {
  bool gone = false;
  std::unique_ptr<Context> own = std::make_unique<Watched>(gone);
  { detail::Scratch(*own).take<float>(10); }
  Buffer<double> first(*own, 3), second(*own, 0), third = std::move(first);
  own.reset();
  EXPECT_FALSE(gone);
  third = Buffer<double>();
  EXPECT_FALSE(gone) << "an empty buffer of the context is left";
  second = Buffer<double>();
  EXPECT_TRUE(gone);
  own = std::make_unique<Watched>(gone = false);
  own.reset();
  EXPECT_TRUE(gone) << "nothing was left";
}

TEST_P(Lifetime, AContextIsForOneThreadAtATime) {
  Buffer<double> b(context(), Numbers{1, 2});
  std::string said, allocated;
  {
    const detail::InUse here(context());
    std::thread([&] {
      said = message_of<UsageError>([&] { b.download(); });
      allocated = message_of<UsageError>([&] { Buffer<float>(context(), 5); });
    }).join();
    EXPECT_EQ(b.download(), (Numbers{1, 2})) << "calls of one thread nest";
  }
  EXPECT_TRUE(contains(said, "context " + context().name(), "two threads at once", "give each thread a context"));
  EXPECT_EQ(allocated, said);
  Numbers there;
  std::thread([&] { there = b.download(); }).join();
  EXPECT_EQ(there, (Numbers{1, 2})) << "a context may move from thread to thread";
}

/// Verbs whose object was there before, a queue of steps, and a buffer that ends: the last may come at any time.
TEST_P(Lifetime, VerbsAndQueuesAreForOneThreadAndBuffersEndInAny) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto optimizer = make_optimizer<double>("sgd");
  StepQueue<double> queue(context(), *optimizer);
  auto& ops = context().ops<double>();
  Buffer<double> a(context(), Numbers{4, 1, 1, 3}), b(context(), Numbers{1, 2, 3, 4});
  auto spare = std::make_unique<Buffer<double>>(context(), 100);
  const Index before = context().allocated_bytes();
  std::vector<std::string> said;
  {
    const detail::InUse here(context());
    std::thread([&] {
      const auto refused = [&](const auto& call) { said.push_back(message_of<UsageError>(call)); };
      refused([&] { context().ops<float>(); });
      refused([&] { ops.fill(4, 0, b.data()); });
      refused([&] { ops.copy(4, a.data(), b.data()); });
      refused([&] { ops.dot(4, a.data(), b.data()); });
      refused([&] { ops.max_abs(4, a.data()); });
      refused([&] { ops.gemm({2, 2, 2, a.data(), 2, false, a.data(), 2, false, b.data(), 2}); });
      refused([&] { ops.potrf(2, a.data()); });
      refused([&] { queue.push(f, s.theta.data()); });
      refused([&] { queue.look(); });
      refused([&] { queue.glance(); });
      spare.reset();
    }).join();
  }
  for (std::size_t i = 0; i < said.size(); ++i) EXPECT_TRUE(contains(said[i], "two threads at once")) << i;
  EXPECT_EQ(context().allocated_bytes(), before - 100 * static_cast<Index>(sizeof(double)));
  EXPECT_EQ(a.download(), (Numbers{4, 1, 1, 3}));
  EXPECT_EQ(b.download(), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(queue.look().taken, 0);
}

/// Calls that overlap are refused; whatever is returned is right.
TEST_P(Lifetime, TwoThreadsNeverGetAWrongGradient) {
  Setting<double> s(context(), "mlp:5-30-3:tanh", LossKind::cross_entropy, 200);
  auto one = s.objective(), two = s.objective();
  Buffer<double> g(context(), s.n()), h(context(), s.n());
  one.gradient(s.theta.data(), g.data());
  two.gradient(s.theta.data(), h.data());
  const Numbers right = g.download();
  int wrong[2] = {}, refused[2] = {};
  const auto work = [&](int thread, NetworkObjective<double>& f, Buffer<double>& to) {
    for (int i = 0; i < 100; ++i) try {
        f.gradient(s.theta.data(), to.data());
        wrong[thread] += to.download() != right;
      } catch (const UsageError&) {
        ++refused[thread];
      }
  };
  std::thread other([&] { work(1, two, h); });
  work(0, one, g);
  other.join();
  EXPECT_EQ(wrong[0] + wrong[1], 0) << refused[0] + refused[1] << " of 200 were refused";
}

}  // namespace
}  // namespace hso::test
