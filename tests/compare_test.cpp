// SPDX-License-Identifier: Apache-2.0
//
// Comparisons: equal budgets and grids, the best trial, numbers that repeat, what is written, and bad input.
#include "hsogpu/train/compare.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "support/xml.hpp"

namespace hso {
namespace {

using Json = nlohmann::json;
using test::contains;
using test::message_of;
using test::ProgramResult;
using test::run_program;
using test::TempDir;

class Compare : public testing::Test {
 protected:
  Comparison run(const std::string& contenders, const Budget& budget, Index seeds = 2, Index rates = 3) const {
    return compare(base_, parse_contenders(contenders), {budget, seeds, rates});
  }
  TempDir dir_;
  TrainOptions base_ = [this] {
    TrainOptions o = test::tiny_options(dir_, "hso");
    o.batch = 16;  // of the 48 rows of the training part
    return o;
  }();
};

/// Every number of a comparison but the seconds.
Json numbers_of(const Comparison& c) {
  Json json = Json::parse(comparison_json(c));
  json.erase("environment");
  for (Json& contender : json["contenders"]) {
    contender.erase("seconds");
    for (const char* list : {"trials", "runs"})
      for (Json& run : contender[list]) {
        run.erase("seconds");
        if (run.contains("curve"))
          for (Json& point : run["curve"]) point.erase("seconds");
      }
  }
  return json;
}

TEST(Contenders, AreParsedWithTheirOptions) {
  const auto all = parse_contenders("adam:beta1=0.8,beta2=0.99,sgd,hso.cg:iterations=5");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "adam:beta1=0.8,beta2=0.99");
  EXPECT_EQ(all[0].settings, (OptimizerSettings{{"beta1", "0.8"}, {"beta2", "0.99"}}));
  EXPECT_EQ(all[1].optimizer, "sgd");
  EXPECT_EQ(all[2].settings.at("iterations"), "5");
}

TEST(Contenders, WhatIsWrongIsNamed) {
  const auto error = [](const std::string& list) { return message_of<UsageError>([&] { parse_contenders(list); }); };
  EXPECT_TRUE(contains(error("sgd,adm"), "adm", "did you mean 'adam'"));
  EXPECT_TRUE(contains(error("adam:bta1=0.5"), "bta1", "did you mean 'beta1'"));
  EXPECT_TRUE(contains(error("adam:beta1"), "beta1", "OPTION=VALUE"));
  EXPECT_TRUE(contains(error("adam:beta1=2"), "beta1", "[0, 1)"));
  EXPECT_TRUE(contains(error("sgd,adam,sgd"), "'sgd' is there twice"));
  EXPECT_TRUE(contains(error("sgd,,adam"), "found ''"));
}

TEST(Contenders, EveryOptimizerHasAnOptionToSearchAndAGridOfTheSameSize) {
  for (const OptimizerInfo& info : optimizer_table()) {
    const SearchedOption option = searched_option({info.name, info.name});
    EXPECT_FALSE(option.name.empty()) << info.name;
    const std::vector<double> grid = search_grid(option, 5);
    ASSERT_EQ(grid.size(), 5u) << info.name;
    EXPECT_TRUE(std::is_sorted(grid.begin(), grid.end())) << info.name;
    EXPECT_EQ(grid[2], option.centre) << info.name;
    for (double value : grid)
      EXPECT_NO_THROW(make_optimizer<double>(info.name, {{option.name, fmt::to_string(value)}})) << info.name;
  }
  EXPECT_EQ(searched_option({"adam", "adam"}).name, "rate");
  EXPECT_EQ(searched_option({"hso.cg", "hso.cg"}).name, "delta");
  EXPECT_EQ(searched_option({"adam", "adam", {{"rate", "0.5"}}}).centre, 0.5);
  EXPECT_EQ(search_grid({"rate", 0.1, std::sqrt(10.0)}, 3), (std::vector<double>{0.0316, 0.1, 0.316}));
  EXPECT_EQ(search_grid({"rate", 0.1, 10}, 1), (std::vector<double>{0.1}));
}

TEST(Budgets, AreParsed) {
  EXPECT_EQ(parse_budget("seconds:2.5").amount, 2.5);
  EXPECT_EQ(parse_budget("gradients:100").kind, BudgetKind::gradients);
  for (const char* bad : {"", "steps", "steps:", "steps:0", "steps:2.5", "steps:-1", "seconds:x", "seconds:inf"})
    EXPECT_THROW(parse_budget(bad), UsageError) << bad;
  EXPECT_TRUE(contains(message_of<UsageError>([] { parse_budget("step:3"); }), "did you mean 'steps'"));
}

TEST_F(Compare, StepBudgetsAreEqualAndTheBestIsTheBestOfTheSearch) {
  const Comparison c = run("sgd,adam,hso.cg:max_trials=1", {BudgetKind::steps, 12});
  EXPECT_TRUE(c.complete);
  ASSERT_EQ(c.contenders.size(), 3u);
  for (const ContenderResult& r : c.contenders) {
    const std::string& name = r.contender.name;
    ASSERT_EQ(r.trials.size(), 3u) << name;
    ASSERT_EQ(r.runs.size(), 2u) << name;
    for (const CompareRun& t : r.trials) EXPECT_LE(t.last.step, 3) << name;  // a quarter
    ASSERT_GE(r.best, 0) << name;
    const CompareRun& best = r.trials[static_cast<std::size_t>(r.best)];
    for (const CompareRun& t : r.trials) EXPECT_LE(best.last.loss, t.last.loss) << name;
    for (const CompareRun& full : r.runs) {
      EXPECT_EQ(full.value, best.value) << name;
      EXPECT_LE(full.last.step, 12) << name;
      EXPECT_TRUE(full.status != "steps" || full.last.step == 12) << name;
      EXPECT_EQ(full.curve.front().step, 0) << name;
    }
    EXPECT_NE(r.runs[0].last.loss, r.runs[1].last.loss) << "another seed, another run";
  }
  EXPECT_EQ(c.contenders[0].runs[0].status, "steps");
  EXPECT_EQ(c.contenders[0].runs[0].curve.front().loss, c.contenders[2].runs[0].curve.front().loss) << "one start";
}

TEST_F(Compare, GradientBudgetsAreRespectedAndUsed) {
  const Comparison c = run("sgd,hso.cg:iterations=3", {BudgetKind::gradients, 30}, 1, 1);
  for (const ContenderResult& r : c.contenders) {
    const CompareRun& full = r.runs.at(0);
    EXPECT_EQ(full.status, "gradients") << r.contender.name;
    EXPECT_LE(full.last.gradient_equivalents, 30 * (1 + 1e-9)) << r.contender.name;
    for (const CompareRun& t : r.trials) EXPECT_LE(t.last.gradient_equivalents, 7.5 * (1 + 1e-9));
  }
  // Three batches of 16 rows are one gradient of all 48.
  EXPECT_NEAR(c.contenders[0].runs[0].last.gradient_equivalents, 30, 1e-6);
  EXPECT_EQ(c.contenders[0].runs[0].last.step, 90);
}

TEST_F(Compare, AStepThatCostsMoreThanTheBudgetDoesNotCount) {
  const Comparison c = run("hso", {BudgetKind::gradients, 5}, 1, 1);  // 22 products make its matrix
  const CompareRun& full = c.contenders[0].runs.at(0);
  EXPECT_EQ(full.last.step, 0);
  EXPECT_EQ(full.last.gradient_equivalents, 0);
  const Comparison none = run("hso", {BudgetKind::gradients, 5}, 1, 3);
  EXPECT_EQ(none.contenders[0].best, 1) << "no trial left the start: the default stays";
}

TEST_F(Compare, SecondsBudgetsAreRespected) {
  const Comparison c = run("sgd", {BudgetKind::seconds, 0.02}, 1, 1);
  const CompareRun& full = c.contenders[0].runs.at(0);
  EXPECT_EQ(full.status, "seconds");
  EXPECT_LE(full.last.seconds, 0.02 * 1.05);
}

TEST_F(Compare, TheSameNumbersEveryTime) {
  const Budget budget{BudgetKind::steps, 8};
  const Json first = numbers_of(run("momentum,hso.lowrank:rank=4", budget));
  EXPECT_EQ(numbers_of(run("momentum,hso.lowrank:rank=4", budget)), first);
  base_.seed = 5;
  EXPECT_NE(numbers_of(run("momentum,hso.lowrank:rank=4", budget)), first);
}

TEST_F(Compare, ContendersThatDivergeKeepTheirStartAndAreSaidTo) {
  base_.weight_decay = 1e10;
  const Comparison c = run("sgd:rate=1e300", {BudgetKind::steps, 8}, 1, 2);
  for (const CompareRun& t : c.contenders[0].trials) {
    EXPECT_EQ(t.status, "not_finite");
    EXPECT_EQ(t.last.loss, t.curve.front().loss);
    EXPECT_FALSE(t.message.empty());
  }
  EXPECT_TRUE(contains(comparison_table(c), "not_finite"));
}

TEST_F(Compare, AContenderThatCannotRunFailsAlone) {
  base_.model = "mlp:2-400000-2";  // the dense matrix has 2e6 rows
  base_.batch = 0;
  const Comparison c = run("hso,sgd", {BudgetKind::steps, 1}, 1, 2);
  EXPECT_TRUE(c.complete);
  EXPECT_EQ(c.contenders[0].trials.at(0).status, "failed");
  EXPECT_TRUE(c.contenders[0].runs.empty());
  EXPECT_EQ(c.contenders[1].runs.at(0).status, "steps");
  EXPECT_TRUE(contains(comparison_table(c), "failed", "n = 2000002 needs"));
  EXPECT_THROW(run("hso", {BudgetKind::steps, 1}, 1, 2), MemoryError);
}

TEST_F(Compare, BadOptionsAreNamedBeforeAnythingRuns) {
  const auto error = [&](auto change) {
    TrainOptions base = base_;
    CompareOptions options;
    options.on_run = [](const std::string& line) { ADD_FAILURE() << line; };
    change(base, options);
    return message_of<UsageError>([&] { compare(base, parse_contenders("sgd"), options); });
  };
  EXPECT_TRUE(contains(error([](auto& b, auto&) { b.epochs = 3; }), "epochs = 3", "budget"));
  EXPECT_TRUE(contains(error([](auto& b, auto&) { b.target_loss = 0.1; }), "target_loss = 0.1", "budget"));
  EXPECT_TRUE(contains(error([](auto& b, auto&) { b.run_directory = "x"; }), "run_directory"));
  EXPECT_TRUE(contains(error([](auto& b, auto&) { b.precision = "half"; }), "precision"));
  EXPECT_TRUE(contains(error([](auto&, auto& o) { o.seeds = 0; }), "seeds = 0"));
  EXPECT_TRUE(contains(error([](auto&, auto& o) { o.rates = 0; }), "rates = 0"));
  EXPECT_TRUE(contains(error([](auto&, auto& o) { o.search_share = 0; }), "search_share"));
  EXPECT_THROW(compare(base_, {}, {}), UsageError);
}

TEST_F(Compare, AnInterruptedOneKeepsWhatIsKnown) {
  int asked = 0;
  CompareOptions options{{BudgetKind::steps, 10}, 2, 1};
  options.interrupted = [&] { return ++asked > 20; };
  const Comparison c = compare(base_, parse_contenders("sgd,adam"), options);
  EXPECT_FALSE(c.complete);
  EXPECT_EQ(c.contenders[0].trials.at(0).status, "steps");
  Index interrupted = 0;
  for (const ContenderResult& r : c.contenders)
    for (const CompareRun& full : r.runs) interrupted += full.status == "interrupted";
  EXPECT_EQ(interrupted, 1);
  EXPECT_TRUE(contains(comparison_table(c), "interrupted"));
  EXPECT_EQ(Json::parse(comparison_json(c))["complete"], false);
}

TEST(Xml, FaultsAreFound) {
  EXPECT_EQ(test::xml_fault("<a b=\"1\"><c/>x &lt; y</a>\n"), "");
  for (const char* bad :
       {"", "<a>", "<a></b>", "<a/><a/>", "<a b=1/>", "<a b=\"1/>", "<a>x & y</a>", "x<a/>", "<a b=\"&\"/>"})
    EXPECT_NE(test::xml_fault(bad), "") << bad;
}

TEST_F(Compare, ThePictureIsWellFormedAndNamesEveryContender) {
  const std::string names = "sgd,adam:beta1=0.8,hso.lowrank:rank=3";
  const Comparison c = run(names, {BudgetKind::steps, 6});
  const std::string svg = comparison_svg(c);
  EXPECT_EQ(test::xml_fault(svg), "");
  for (const Contender& contender : parse_contenders(names)) EXPECT_TRUE(contains(svg, ">" + contender.name + "<"));
  EXPECT_TRUE(contains(svg, "optimizer steps", "seconds in steps", "gradient-equivalents"));
  std::size_t curves = 0;
  for (std::size_t at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1)) ++curves;
  EXPECT_EQ(curves, 9u);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(test::xml_fault(comparison_svg(Comparison{})), "") << "nothing to draw";
}

class CompareProgram : public testing::Test {
 protected:
  ProgramResult train(std::vector<std::string> more) {
    std::vector<std::string> arguments{"train",   "--device",       "cpu",   "--data", data_,
                                       "--model", "mlp:2-4-2:tanh", "--out", out_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  TempDir dir_;
  std::string data_ = test::write_tiny_data(dir_);
  std::string out_ = dir_.file("runs/compare-###");
};

TEST_F(CompareProgram, WritesTableJsonAndPicture) {
  const ProgramResult r = train({"--compare", "sgd,hso.cg:iterations=4", "--compare-seeds", "2", "--compare-rates", "2",
                                 "--compare-budget", "steps:4", "--json"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "search sgd", "run hso.cg:iterations=4", "optimizer", "gradients", "compare-001"));
  const Json json = Json::parse(r.out);
  EXPECT_EQ(json["budget"]["kind"], "steps");
  EXPECT_EQ(json["budget"]["amount"], 4);
  EXPECT_EQ(json["complete"], true);
  EXPECT_EQ(json["problem"]["model"], "mlp:2-4-2:tanh");
  EXPECT_TRUE(json["environment"].contains("core_type"));
  ASSERT_EQ(json["contenders"].size(), 2u);
  for (const Json& c : json["contenders"]) {
    EXPECT_EQ(c["trials"].size(), 2u);
    EXPECT_EQ(c["runs"].size(), 2u);
    double sum = 0;
    for (const Json& run : c["runs"]) {
      sum += run["train_loss"].get<double>();
      for (const char* key :
           {"seed", "step", "seconds", "gradient_equivalents", "train_accuracy", "test_accuracy", "status"})
        EXPECT_TRUE(run.contains(key)) << key;
      EXPECT_EQ(run["curve"].back()["train_loss"], run["train_loss"]);
    }
    EXPECT_NEAR(c["loss"]["mean"].get<double>(), sum / 2, 1e-12);
    EXPECT_LE(c["loss"]["min"], c["loss"]["max"]);
  }
  const std::string run = dir_.file("runs/compare-001");
  EXPECT_EQ(Json::parse(read_text(run + "/comparison.json"))["contenders"], json["contenders"]);
  EXPECT_EQ(test::xml_fault(read_text(run + "/comparison.svg")), "");
  EXPECT_TRUE(contains(read_text(run + "/comparison.txt"), "sgd", "hso.cg:iterations=4"));
  EXPECT_TRUE(contains(read_text(run + "/config.toml"), "model = \"mlp:2-4-2:tanh\""));
}

TEST_F(CompareProgram, BadInputIsRefusedAndNothingIsWritten) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    const ProgramResult r = train(more);
    EXPECT_EQ(r.exit_code, 2) << r.err;
    EXPECT_TRUE(contains(r.err, part));
    EXPECT_FALSE(std::filesystem::exists(dir_.file("runs")));
  };
  refused({"--compare", "adm"}, "did you mean 'adam'");
  refused({"--compare", "sgd:rat=1"}, "did you mean 'rate'");
  refused({"--compare", "sgd", "--compare-budget", "hours:1"}, "hours:1");
  refused({"--compare", "sgd", "--compare-seeds", "0"}, "--compare-seeds: found '0'");
  refused({"--compare", "sgd", "--optimizer", "adam"}, "--optimizer: not with --compare");
  refused({"--compare", "sgd", "--rate", "1"}, "--rate: not with --compare");
  refused({"--compare", "sgd", "--epochs", "3"}, "epochs = 3");
  refused({"--compare-seeds", "3"}, "there is no --compare");
}

}  // namespace
}  // namespace hso
