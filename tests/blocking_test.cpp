// SPDX-License-Identifier: Apache-2.0
//
// Work that cannot be left early: what training, pruning and comparisons give, and have written, in its middle.
#include <gtest/gtest.h>

#include <filesystem>

#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/prune/compare.hpp"
#include "hsogpu/train/compare.hpp"
#include "support/contexts.hpp"
#include "support/json_lines.hpp"
#include "support/temp_dir.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;

/// n = 910: large enough for its factorisations to be announced.
TrainOptions training(const std::string& optimizer, Index steps) {
  TrainOptions o;
  o.model = "mlp:64-12-10:tanh";
  o.optimizer = optimizer;
  o.device = "cpu";
  o.steps = steps;
  return o;
}

/// Asks before every piece of work until `enough` says that what is known will do, and leaves by an exception then: in
/// the program it is the process that ends.
template <class Result, class Enough>
BlockingHook<Result> leaves_when(Result& known, const Enough& enough) {
  return [&known, enough](const std::function<Result()>& ask) {
    if (!ask || !enough()) return;
    known = ask();
    throw Interrupted();
  };
}

TEST(BlockingWork, LargeFactorisationsAreAnnouncedOnceAndSmallOnesAreNot) {
  const auto context = Context::create("cpu");
  std::vector<bool> told;
  const InterruptScope scope({}, [&](bool begins) { told.push_back(begins); });
  const auto told_of = [&](Index n, const auto& work) {
    told.clear();
    Buffer<float> a(*context, n * n);
    context->ops<float>().fill(n * n, 0, a.data());
    context->ops<float>().for_each(1, n, detail::AddDiagonal<float>{a.data(), n, 1});
    work(a.view().reshaped({n, n}));
    return told;
  };
  const auto eigen = [&](View<float> a) { eigh(*context, a); };
  EXPECT_EQ(told_of(100, eigen), (std::vector<bool>{}));
  EXPECT_EQ(told_of(600, eigen), (std::vector<bool>{true, false}));
  EXPECT_EQ(told_of(600, [&](View<float> a) { cholesky(*context, a); }), (std::vector<bool>{true, false}));
  EXPECT_EQ(told_of(600, [&](View<float> a) { inverse(*context, a); }), (std::vector<bool>{true, false}));
}

TEST(BlockingWork, IsNotBegunWhereItIsToStop) {
  const auto context = Context::create("cpu");
  std::vector<bool> told;
  Buffer<float> a(*context, 600 * 600);
  context->ops<float>().fill(a.size(), 1, a.data());
  const InterruptScope scope([] { return true; }, [&](bool begins) { told.push_back(begins); });
  EXPECT_THROW(eigh(*context, a.view().reshaped({600, 600})), Interrupted);
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
}

/// The hook of an inner call is told, with the stop of the scope around it; without a hook the scope around it is.
TEST(BlockingWork, TheInnermostHookIsTold) {
  int outer = 0, inner = 0;
  bool stop = false;
  const InterruptScope around([&] { return stop; }, [&](bool) { ++outer; });
  const BlockingHook<int> none, hook = [&](const std::function<int()>&ask) { inner += ask ? ask() : 100; };
  {
    const InterruptScope scope(none, [] { return 1; });
    { const BlockingWork work(1000); }
    EXPECT_EQ(outer, 2);
  }
  {
    const InterruptScope scope(hook, [] { return 1; });
    {
      const BlockingWork work(1000);
      const BlockingWork nested(1000);
    }
    EXPECT_EQ(outer, 2);
    EXPECT_EQ(inner, 101);
    stop = true;
    EXPECT_THROW(check_interrupted(), Interrupted);
  }
}

/// The second step is left in its eigendecomposition: what is known, and on the disk, is the first one.
TEST(Blocking, ATrainingGivesTheLastStepThatWasTaken) {
  const test::TempDir dir;
  const std::vector<double> after_one = train(training("hso", 1)).theta;
  TrainOptions options = training("hso", 3);
  options.run_directory = dir.file("run");
  TrainResult known;
  Index records = 0;
  TrainHooks hooks;
  hooks.on_record = [&](const TrainRecord&) { ++records; };
  hooks.blocking = leaves_when(known, [&] { return records == 2; });
  train(options, hooks);
  EXPECT_EQ(known.stop_reason, "interrupted");
  EXPECT_EQ(known.last.step, 1);
  EXPECT_EQ(known.accepted_steps, 1);
  EXPECT_EQ(known.theta, after_one);
  EXPECT_EQ(load_run(dir.file("run")).theta, after_one);
  EXPECT_EQ(load_run(dir.file("run/checkpoints/step_1")).theta, after_one);
  EXPECT_EQ(test::read_lines(dir.file("run/metrics.jsonl")).size(), 2u);
  EXPECT_FALSE(fs::exists(dir.file("run/.hso-lock")));
  options.resume = true;
  EXPECT_EQ(train(options).theta, train(training("hso", 3)).theta) << "and it goes on from there";
}

class BlockedPruning : public testing::Test {
 protected:
  BlockedPruning() {
    TrainOptions options = training("sgd", 1);
    options.run_directory = base_.checkpoint = dir_.file("run");
    train(options);
    base_.device = "cpu";
    base_.sparsity = 0.2;
    base_.rule.curvature = Curvature::ggn;
  }
  test::TempDir dir_;
  PruneOptions base_;
};

TEST_F(BlockedPruning, GivesTheStagesThatWereWhole) {
  base_.schedule = parse_prune_schedule("iterative:2");
  base_.run_directory = dir_.file("pruned");
  base_.overwrite = true;
  std::size_t stages = 0;
  PruneResult known;
  PruneHooks hooks;
  hooks.on_stage = [&](Index, const PruneStage&) { ++stages; };
  const auto second = leaves_when(known, [&] { return stages == 1; });
  hooks.blocking = [&](const std::function<PruneResult()>& ask) {
    if (ask && stages == 0) {
      EXPECT_THROW(ask(), Interrupted);
    }
    second(ask);
  };
  prune(base_, hooks);
  EXPECT_EQ(known.stages.size(), 1u);
  EXPECT_FALSE(known.complete);
  EXPECT_EQ(known.mask.count(), known.stages[0].kept);
  EXPECT_LE(known.shrink_difference, 1e-12);
  const std::vector<double> written = load_run(known.run_directory).theta;
  ASSERT_EQ(written.size(), known.shrunk.theta.size());
  for (std::size_t i = 0; i < written.size(); ++i)
    EXPECT_EQ(static_cast<float>(written[i]), static_cast<float>(known.shrunk.theta[i])) << i << ": files hold float32";
}

TEST_F(BlockedPruning, AComparisonGivesTheRunsBeforeIt) {
  PruneComparison known;
  PruneCompareHooks hooks;
  hooks.blocking = leaves_when(known, [] { return true; });
  compare_pruning(base_, {base_.checkpoint}, {PruneScore::magnitude, PruneScore::obs}, {0.2}, hooks);
  ASSERT_EQ(known.rows.size(), 2u);
  EXPECT_EQ(known.rows[0].runs.size(), 1u);
  EXPECT_TRUE(known.rows[1].runs.empty());
  EXPECT_FALSE(known.complete);
}

TEST(Blocking, AComparisonOfTrainingsGivesTheRunsBeforeIt) {
  Comparison known;
  CompareOptions options{.budget = {BudgetKind::steps, 2}, .seeds = 1, .rates = 1};
  options.blocking = leaves_when(known, [] { return true; });
  compare(training("sgd", 0), parse_contenders("sgd,hso"), options);
  ASSERT_EQ(known.contenders.size(), 2u);
  EXPECT_EQ(known.contenders[0].trials.size(), 1u);
  EXPECT_TRUE(known.contenders[1].trials.empty());
  EXPECT_FALSE(known.complete);
}

}  // namespace
}  // namespace hso
