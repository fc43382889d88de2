// SPDX-License-Identifier: Apache-2.0
//
// Pruning from a run to a smaller run: schedules, stages, fine-tuning under the mask, files, the program, bad input.
#include "hsogpu/prune/prune.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/prune/compare.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "support/xml.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

using Json = nlohmann::json;
using test::contains;
using test::message_of;
using test::run_program;

/// mlp:2-6-2:tanh on 60 points of the plane: 32 parameters, 24 of them weights.
class Prune : public testing::Test {
 protected:
  Prune() {
    TrainOptions o = test::tiny_options(dir_, "hso");
    o.model = "mlp:2-6-2:tanh";
    o.steps = 15;
    o.weight_decay = 1e-3;
    o.run_directory = run_;
    train(o);
  }
  PruneOptions options(PruneScore score, double sparsity) const {
    PruneOptions o;
    o.checkpoint = run_;
    o.rule.score = score;
    o.sparsity = sparsity;
    o.device = "cpu";
    return o;
  }
  test::TempDir dir_;
  std::string run_ = dir_.file("run");
};

TEST(PruneSchedules, CountsFallAsTheySay) {
  const auto kept = [](const std::string& text, Index before, Index after) {
    return kept_after_stages(parse_prune_schedule(text), before, after);
  };
  EXPECT_EQ(kept("oneshot", 100, 7), (std::vector<Index>{7}));
  EXPECT_EQ(kept("single", 5, 2), (std::vector<Index>{4, 3, 2}));
  EXPECT_EQ(kept("iterative:3", 1000, 1), (std::vector<Index>{100, 10, 1}));
  // s_f + (s_0 - s_f)(1 - k/2)^3: an eighth of the way is left after the first half.
  EXPECT_EQ(kept("gradual:2", 900, 100), (std::vector<Index>{200, 100}));
  EXPECT_EQ(kept("iterative:4", 10, 0).back(), 0);
  EXPECT_TRUE(kept("single", 3, 3).empty());
  for (const char* bad : {"iterative", "iterative:0", "gradual:x", "oneshot:2", "twice", "single:3"})
    EXPECT_THROW(parse_prune_schedule(bad), UsageError) << bad;
  for (const char* good : {"oneshot", "single", "iterative:3", "gradual:12"})
    EXPECT_EQ(to_string(parse_prune_schedule(good)), good);
}

/// Wherever it is stopped: what is reported are whole stages, with the fine-tuning that belongs to them.
TEST_F(Prune, InterruptedStagesWereNone) {
  PruneOptions o = options(PruneScore::magnitude, 0.5);
  o.schedule = parse_prune_schedule("iterative:3");
  o.finetune_steps = 4;
  const PruneResult whole = prune(o);
  ASSERT_EQ(whole.stages.size(), 3u);
  std::size_t most = 0;
  bool ended = false;
  for (int asks = 1; !ended; asks += 3) {
    int left = asks;
    const InterruptScope scope([&] { return --left < 0; });
    PruneResult r;
    try {
      r = prune(o);
    } catch (const Interrupted&) {
      continue;
    }
    ended = r.complete;
    ASSERT_LE(r.stages.size(), 3u);
    ASSERT_EQ(r.complete, r.stages.size() == 3) << asks;
    for (std::size_t i = 0; i < r.stages.size(); ++i)
      ASSERT_EQ(r.stages[i].finetuned_train.loss, whole.stages[i].finetuned_train.loss) << asks << ", stage " << i;
    if (!r.complete) most = std::max(most, r.stages.size());
  }
  EXPECT_EQ(most, 2u);
}

TEST_F(Prune, EveryScoreReachesTheSparsityAndWritesARun) {
  for (const std::string& name : prune_score_names()) {
    PruneOptions o = options(parse_prune_score(name), 0.5);
    o.run_directory = dir_.file("pruned-" + name);
    const PruneResult r = prune(o);
    EXPECT_EQ(r.mask.count(), 32 - 12) << name;
    ASSERT_EQ(r.stages.size(), 1U);
    EXPECT_EQ(r.removals.size(), 12U);
    for (std::size_t j = 0; j < r.theta.size(); ++j) EXPECT_EQ(r.mask.kept[j] == 0, r.theta[j] == 0) << name << j;
    EXPECT_LE(r.shrink_difference, 1e-14) << name;
    const SavedRun saved = load_run(r.run_directory);
    EXPECT_EQ(saved.theta, r.shrunk.theta) << name;
    EXPECT_EQ(saved.mask, r.shrunk.mask) << name;
    const Json report = Json::parse(read_text(r.run_directory + "/prune.json"));
    EXPECT_EQ(report["score"], name);
    EXPECT_EQ(report["stages"].size(), 1U);
    const std::string csv = read_text(r.run_directory + "/removals.csv");
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 13) << name;
    const auto evaluated = run_program({"eval", "--checkpoint", r.run_directory, "--device", "cpu", "--json"});
    ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
    EXPECT_NEAR(Json::parse(evaluated.out)["test"]["loss"].get<double>(), r.stages[0].test.loss, 1e-12) << name;
  }
}

TEST_F(Prune, SameSeedSameBits) {
  PruneOptions o = options(PruneScore::obs, 0.6);
  o.schedule = parse_prune_schedule("iterative:3");
  o.finetune_steps = 3;
  const PruneResult a = prune(o), b = prune(o);
  EXPECT_EQ(a.mask, b.mask);
  EXPECT_EQ(a.theta, b.theta);
  EXPECT_EQ(a.stages.size(), 3U);
}

TEST_F(Prune, FineTuningLowersTheLossUnderTheMask) {
  PruneOptions o = options(PruneScore::magnitude, 0.4);
  o.finetune_steps = 10;
  const PruneResult r = prune(o);
  EXPECT_LT(r.stages[0].finetuned_train.loss, r.stages[0].train.loss);
  for (std::size_t j = 0; j < r.theta.size(); ++j)
    if (r.mask.kept[j] == 0) {
      EXPECT_EQ(r.theta[j], 0);
      EXPECT_FALSE(std::signbit(r.theta[j]));
    }
}

TEST_F(Prune, OneAtATimeMeasuresEveryRemoval) {
  PruneOptions o = options(PruneScore::obs, 0.25);
  o.rule.curvature = Curvature::hessian;
  o.rule.damping = 1e-6;
  o.schedule = parse_prune_schedule("single");
  const PruneResult r = prune(o);
  ASSERT_EQ(r.removals.size(), 6U);
  for (std::size_t k = 0; k < 6; ++k) {
    EXPECT_EQ(r.removals[k].stage, static_cast<Index>(k));
    EXPECT_DOUBLE_EQ(r.removals[k].actual, r.stages[k].loss_after - r.stages[k].loss_before);
  }
}

TEST_F(Prune, PruningAgainComposes) {
  PruneOptions o = options(PruneScore::magnitude, 0.25);
  o.run_directory = dir_.file("first");
  const ShrunkModel first = prune(o).shrunk;
  o.checkpoint = o.run_directory;
  o.sparsity = 0.5;
  o.rule.score = PruneScore::obs;
  o.run_directory = dir_.file("second");
  const PruneResult second = prune(o);
  // Shares count from the network that the first pruning left.
  Index weights = 0;
  for (const ParameterInfo& p : build_network<double>(first.model, LossKind::cross_entropy).parameters)
    weights += p.is_bias ? 0 : p.shape.size();
  EXPECT_EQ(second.mask.size() - second.mask.count(), weights / 2);
  Mask both = second.mask;
  both &= first.mask;
  EXPECT_EQ(both, second.mask) << "what was gone stays gone";
  ASSERT_LT(second.shrunk.mask.count(), second.shrunk.mask.size());
  o.checkpoint = second.run_directory;
  o.run_directory.clear();
  o.sparsity = 0.01;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "gone already", "at least 0."));
}

TEST_F(Prune, UnitsGoAsAWholeAndTheNetworkShrinks) {
  for (const PruneScore score :
       {PruneScore::magnitude, PruneScore::random, PruneScore::gradient, PruneScore::obd, PruneScore::obs,
        PruneScore::kfac_obs, PruneScore::fisher, PruneScore::hsp, PruneScore::hsp_literal, PruneScore::hsp_saliency}) {
    PruneOptions o = options(score, 0);
    o.granularity = Granularity::units;
    o.multiply_adds = 0.5;
    o.timing_rows = 4;
    if (score != PruneScore::obs) o.rule.damping = 1e-2;
    if (score == PruneScore::obs) o.rule.curvature = Curvature::ggn;
    const PruneResult r = prune(o);
    EXPECT_EQ(r.size_after.multiply_adds, 12) << name_of(score);
    EXPECT_EQ(r.shrunk.model.layers.front().out, 3) << name_of(score);
    EXPECT_EQ(r.size_after.parameters, 3 * 3 + 2 * 3 + 2) << name_of(score);
    EXPECT_LE(r.shrink_difference, 1e-14);
    EXPECT_GT(r.size_after.milliseconds, 0);
  }
}

/// Barely trained, the Hessian is indefinite: whole units as single weights are ranked by absolute eigenvalues, and
/// the result says so.
TEST_F(Prune, AnIndefiniteHessianRanksUnitsToo) {
  TrainOptions few = test::tiny_options(dir_, "sgd");
  few.model = "mlp:2-6-2:tanh";
  few.steps = 1;
  few.run_directory = dir_.file("barely");
  train(few);
  for (const Granularity granularity : {Granularity::weights, Granularity::units}) {
    PruneOptions o = options(PruneScore::obs, 0.5);
    o.checkpoint = dir_.file("barely");
    o.granularity = granularity;
    if (granularity == Granularity::units) o.multiply_adds = 0.5;
    const PruneResult r = prune(o);
    ASSERT_EQ(r.stages.size(), 1U);
    ASSERT_FALSE(r.stages[0].notes.empty());
    EXPECT_TRUE(contains(r.stages[0].notes[0], "not positive definite (smallest eigenvalue -", "absolute values"));
  }
}

TEST_F(Prune, UnitsGoInStagesFromEveryLayer) {
  TrainOptions o = test::tiny_options(dir_, "hso");
  o.model = "mlp:2-10-10-2:tanh";
  o.steps = 3;
  o.run_directory = dir_.file("deep");
  train(o);
  for (const PruneScore score : {PruneScore::random, PruneScore::kfac_obs, PruneScore::magnitude}) {
    PruneOptions p = options(score, 0);
    p.checkpoint = dir_.file("deep");
    p.granularity = Granularity::units;
    p.multiply_adds = 0.9;
    p.schedule = parse_prune_schedule("iterative:4");
    const PruneResult r = prune(p);
    ASSERT_EQ(r.stages.size(), 4U);
    EXPECT_LE(r.size_after.multiply_adds, 14) << name_of(score) << ": a tenth of 140";
    EXPECT_GE(r.size_after.multiply_adds, 5) << name_of(score);
    EXPECT_TRUE(r.stages.back().notes.empty()) << r.stages.back().notes.front();
    EXPECT_LE(r.shrink_difference, 1e-14);
  }
}

TEST_F(Prune, RowsAndColumns) {
  PruneOptions o = options(PruneScore::magnitude, 0);
  o.multiply_adds = 0.3;
  for (const Granularity granularity : {Granularity::rows, Granularity::columns}) {
    o.granularity = granularity;
    const PruneResult r = prune(o);
    EXPECT_LE(r.size_after.multiply_adds, 24 * 7 / 10);
    // A tensor loses whole lines.
    const bool rows = granularity == Granularity::rows;
    for (const auto& [offset, lines, columns] : {std::array<Index, 3>{0, 6, 2}, {18, 2, 6}}) {
      for (Index i = 0; i < (rows ? lines : columns); ++i) {
        Index gone = 0;
        const Index length = rows ? columns : lines;
        for (Index k = 0; k < length; ++k)
          gone += r.mask.kept[static_cast<std::size_t>(offset + (rows ? i * columns + k : k * columns + i))] == 0;
        EXPECT_TRUE(gone == 0 || gone == length) << gone;
      }
    }
  }
  o.granularity = Granularity::rows;
  o.rule.score = PruneScore::kfac_obs;
  EXPECT_THROW(prune(o), UsageError);
}

TEST_F(Prune, SaysWhatIsWrong) {
  PruneOptions o = options(PruneScore::obs, 1.0);
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "sparsity 1", "[0, 1)"));
  o.sparsity = 0.5;
  o.keep = 3;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "keep 3", "at least the 8"));
  o.keep = 0;
  o.multiply_adds = 0.5;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "whole units"));
  o.multiply_adds = 0;
  o.rule.tensors = {"1.weight"};
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "no tensor '1.weight'", "0.weight"));
  o.rule.tensors = {};
  o.run_directory = run_;
  EXPECT_TRUE(contains(message_of<InputError>([&] { prune(o); }), "holds a run", "--overwrite"));
  o.overwrite = true;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "overwritten"));
  EXPECT_TRUE(std::filesystem::exists(run_ + "/model.safetensors"));
  o.rule.rank = 3;
  o.run_directory.clear();
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "rank 3"));
  o.rule.rank = 0;
  o.checkpoint = dir_.file("nowhere");
  o.run_directory = dir_.file("never");
  EXPECT_THROW(prune(o), InputError);
  EXPECT_FALSE(std::filesystem::exists(o.run_directory));
}

TEST_F(Prune, ACheckpointOfAnotherModelIsRefused) {
  std::filesystem::copy_file(run_ + "/model.safetensors", dir_.file("kept.safetensors"));
  TrainOptions other = test::tiny_options(dir_, "hso");
  other.model = "mlp:2-5-2:tanh";
  other.steps = 1;
  other.run_directory = dir_.file("other");
  train(other);
  std::filesystem::copy_file(dir_.file("kept.safetensors"), dir_.file("other") + "/model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  PruneOptions o = options(PruneScore::obs, 0.5);
  o.checkpoint = dir_.file("other");
  EXPECT_TRUE(contains(message_of<InputError>([&] { prune(o); }), "0.weight", "[6, 2]", "[5, 2]"));
}

TEST_F(Prune, AHessianTooLargeNamesWhatFits) {
  TrainOptions o = test::tiny_options(dir_, "sgd");
  o.model = "mlp:2-400-400-2:tanh";
  o.steps = 1;
  o.run_directory = dir_.file("large");
  train(o);
  PruneOptions p = options(PruneScore::obs, 0.5);
  p.checkpoint = dir_.file("large");  // 162,402 parameters: 211 GB
  EXPECT_TRUE(contains(message_of<MemoryError>([&] { prune(p); }), "obs", "162402", "kfac_obs", "would fit"));
}

TEST_F(Prune, ComparesScoresOnSeveralRuns) {
  PruneOptions base = options(PruneScore::obs, 0);
  base.finetune_steps = 2;
  const PruneComparison c = compare_pruning(base, {run_, run_}, {PruneScore::obs, PruneScore::magnitude}, {0.25, 0.5});
  ASSERT_EQ(c.rows.size(), 4U);
  EXPECT_TRUE(c.complete);
  EXPECT_EQ(c.rows[0].runs.size(), 2U);
  EXPECT_EQ(c.rows[0].runs[0].loss, c.rows[0].runs[1].loss) << "the same run, a deterministic score";
  const Json json = Json::parse(prune_comparison_json(c));
  EXPECT_EQ(json["rows"].size(), 4U);
  EXPECT_EQ(test::xml_fault(prune_comparison_svg(c)), "");
  const std::string table = prune_comparison_table(c);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 5);
  EXPECT_THROW(compare_pruning(base, {}, {PruneScore::obs}, {0.5}), UsageError);
}

TEST_F(Prune, TheProgramPrunesAndCompares) {
  const auto one = run_program({"prune", "--checkpoint", run_, "--score", "hsp_saliency", "--sparsity", "0.5", "--flat",
                                "threshold:1e-2", "--finetune-steps", "2", "--device", "cpu", "--out", dir_.file("p"),
                                "--json", "--quiet"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(one.err, "");
  const Json report = Json::parse(one.out);
  EXPECT_EQ(report["kept"], 20);
  EXPECT_TRUE(report["stages"][0].contains("flat"));
  const auto many = run_program({"prune", "--checkpoint", run_, "--compare", "obs,random", "--sparsity", "0.25,0.5",
                                 "--device", "cpu", "--out", dir_.file("c")});
  ASSERT_EQ(many.exit_code, 0) << many.err;
  for (const char* file : {"comparison.json", "comparison.svg", "comparison.txt", "env.json"})
    EXPECT_TRUE(std::filesystem::exists(dir_.file("c") + "/" + file)) << file;
  const auto usage = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"prune", "--checkpoint", run_, "--device", "cpu", "--out", dir_.file("never")};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  };
  EXPECT_EQ(usage({"--compare", "obs", "--keep", "9"}).exit_code, 2);
  EXPECT_EQ(usage({"--score", "obz"}).exit_code, 2);
  EXPECT_EQ(usage({"--sparsity", "1.5"}).exit_code, 2);
  EXPECT_EQ(usage({"--sparsity", "0.5,0.9"}).exit_code, 2);
  EXPECT_EQ(usage({"--structured", "4:2"}).exit_code, 2);
  EXPECT_EQ(usage({"--structured", "cubes"}).exit_code, 2);
  EXPECT_EQ(usage({"--schedule", "iterative"}).exit_code, 2);
  EXPECT_EQ(usage({"--layers", "9.weight"}).exit_code, 2);
  EXPECT_EQ(run_program({"prune", "--checkpoint", dir_.file("nothing")}).exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(dir_.file("never")));
}

TEST_F(Prune, PatternsKeepNofM) {
  PruneOptions o = options(PruneScore::obs, 0.9);
  o.rule.pattern = NofM{1, 2};
  const PruneResult r = prune(o);
  for (Index j = 0; j < 32; ++j) {
    const bool weight = j < 12 || (j >= 18 && j < 30);
    const auto at = static_cast<std::size_t>(j);
    EXPECT_EQ(r.mask.kept[at] + (weight ? r.mask.kept[at ^ 1] : 0), 1) << j;
  }
  o.schedule = parse_prune_schedule("iterative:2");
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prune(o); }), "pattern", "one stage"));
}

}  // namespace
}  // namespace hso
