// SPDX-License-Identifier: Apache-2.0
//
// hso report: what is read of run directories, the page, event files, and what is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "report/page.hpp"
#include "report/tensorboard.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "support/xml.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using report::RunLog;
using test::contains;
using test::message_of;
using test::ProgramResult;
using test::run_program;
using test::starts_with;

std::string line(int step, const std::string& loss, const std::string& more = {}) {
  return fmt::format(
      "{{\"step\":{0},\"epoch\":{0}.0,\"train_loss\":{1},\"train_accuracy\":0.5,\"test_loss\":null,\"test_accuracy\":"
      "null,"
      "\"seconds\":{2},\"gradient_equivalents\":{0}{3}}}\n",
      step, loss, 0.5 * step, more);
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t out = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++out;
  return out;
}

class Report : public testing::Test {
 protected:
  /// A run that was never trained; with `metrics`.
  std::string make_run(const std::string& name, const std::string& metrics, const std::string& optimizer = "adam") {
    TrainOptions options = test::tiny_options(dir_, optimizer);
    fs::create_directories(dir_.path() / name);
    dir_.write(name + "/config.toml", to_toml(options));
    dir_.write(name + "/env.json", R"({"version": "0", "time": "2026-01-02T03:04:05Z", "device_description": "<b>&"})");
    dir_.write(name + "/metrics.jsonl", metrics);
    return dir_.file(name);
  }
  /// The page, which must be well-formed and need nothing from anywhere.
  std::string page_of(const std::vector<std::string>& paths) {
    const std::string page = report::page(report::read_runs(paths));
    const std::string doctype = "<!doctype html>\n";
    EXPECT_TRUE(page.starts_with(doctype));
    EXPECT_EQ(test::xml_fault(page.substr(doctype.size())), "");
    for (const char* foreign : {"http:", "https:", "src=", "href=", "url(", "@import", "<script"})
      EXPECT_EQ(page.find(foreign), std::string::npos) << foreign;
    return page;
  }
  ProgramResult program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "report");
    return run_program(arguments);
  }
  const test::TempDir dir_;
};

TEST_F(Report, ReadsARun) {
  const std::string path = make_run(
      "a", line(0, "2.5") + line(1, "null", R"(,"status":"not_finite","delta":0.01,"descent":true,"message":"x")"));
  dir_.write("a/result.json", R"({"stop_reason":"not_finite","steps":1,"kept_step":0})");
  const RunLog run = report::read_run(path + "/");
  EXPECT_EQ(run.name, "a");
  EXPECT_EQ(run.step, (std::vector<double>{0, 1}));
  EXPECT_EQ(run.seconds, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(run.rejected, 1);
  EXPECT_EQ(run.stop_reason, "not_finite");
  EXPECT_EQ(run.started, 1767323045);  // date -u -d 2026-01-02T03:04:05Z +%s
  EXPECT_EQ(run.final_value("train_loss"), 2.5) << "of the step that was kept";
  ASSERT_NE(run.find("delta"), nullptr);
  EXPECT_EQ(run.find("delta")->samples.at(0).record, 1u);
  EXPECT_EQ(run.find("descent")->samples.at(0).value, 1);
  EXPECT_EQ(run.find("message"), nullptr);
  dir_.write("a/result.json", R"({"stop_reason":"steps","steps":7,"kept_step":7})");
  EXPECT_EQ(report::read_run(path).stop_reason, "") << "of an earlier training";
}

TEST_F(Report, ADamagedLineIsNamedAndACutOneIsLeftOut) {
  const std::string path = make_run("a", line(0, "2.5") + "{\"step\":1,\n" + line(2, "1"));
  EXPECT_TRUE(
      starts_with(message_of<InputError>([&] { report::read_run(path); }), path + "/metrics.jsonl:2: ", "JSON"));
  const auto fault = [&](const std::string& text) {
    make_run("a", line(0, "2.5") + text);
    return message_of<InputError>([&] { report::read_run(path); });
  };
  EXPECT_TRUE(contains(fault("[1]\n"), "metrics.jsonl:2", "expected a JSON object"));
  EXPECT_TRUE(contains(fault("{\"epoch\":1}\n"), "metrics.jsonl:2", "step is missing"));
  EXPECT_TRUE(contains(fault("{\"step\":\"1\"}\n"), "metrics.jsonl:2", "step", "expected a number"));
  EXPECT_TRUE(contains(fault("{\"step\":1,\"step\":2}\n"), "metrics.jsonl:2", "twice"));
  make_run("a", line(0, "2.5") + "{\"step\":1,\"tra");
  const RunLog cut = report::read_run(path);
  EXPECT_EQ(cut.step.size(), 1u);
  ASSERT_EQ(cut.notes.size(), 1u);
  EXPECT_TRUE(contains(cut.notes[0], "metrics.jsonl", "cut off"));
  EXPECT_TRUE(contains(page_of({path}), "cut off"));
}

TEST_F(Report, RunsHaveTheShortestNamesThatDiffer) {
  for (const char* name : {"x/a", "y/a", "y/b"}) make_run(name, line(0, "1"));
  const auto runs = report::read_runs({dir_.file("x/a"), dir_.file("y/a/"), dir_.file("y/../y/b")});
  EXPECT_EQ(runs[0].name, "x/a");
  EXPECT_EQ(runs[1].name, "y/a");
  EXPECT_EQ(runs[2].name, "b");
  EXPECT_TRUE(contains(message_of<UsageError>([&] {
                         report::read_runs({dir_.file("x/a"), dir_.file("x/./a/")});
                       }),
                       "is there twice"));
}

TEST_F(Report, ThePageShowsAllRunsAndWhatTheyDifferIn) {
  const std::string a = make_run("a", line(0, "2") + line(1, "0.5", R"(,"delta":0.01)")),
                    b = make_run("<b>&", line(0, "2") + line(1, "0.25", R"(,"delta":0.1)"), "sgd");
  const std::string page = page_of({a, b});
  EXPECT_TRUE(contains(page, "&lt;b&gt;&amp;", "<h2>Final numbers</h2>", "<h2>Training</h2>", "<h2>Method</h2>",
                       "damping delta", "prefers-color-scheme:dark"));
  EXPECT_EQ(page.find("<h2>Spectrum"), std::string::npos) << "no run has one";
  EXPECT_EQ(page.find("<h2>Pruning"), std::string::npos);
  EXPECT_EQ(count(page, "<svg "), 3u + 3u + 1u) << "loss and accuracy by three measures, delta";
  EXPECT_TRUE(contains(page, "<td class=\"number best\">0.25</td>"));
  EXPECT_EQ(count(page, "class=\"number best\""), 1u) << "test losses are missing, accuracies are not of the test part";
  const std::size_t differing = page.find("<h2>Configuration"), common = page.find("options that are the same");
  const std::string table = page.substr(differing, common - differing);
  EXPECT_TRUE(contains(table, "<th>optimizer</th><td>adam</td><td class=\"differs\">sgd</td>"));
  EXPECT_EQ(table.find("<th>model</th>"), std::string::npos) << "both train the same";
  EXPECT_TRUE(contains(page.substr(common), "<th>model</th><td>mlp:2-4-2:tanh</td>"));
  EXPECT_EQ(page, page_of({a, b})) << "nothing of the time or the process";
}

TEST_F(Report, SpectraAreDrawnByLayer) {
  const std::string path = make_run("a", line(0, "2"));
  std::string spectra;
  for (const int step : {0, 5})
    for (const char* layer : {"all", "0", "2"})
      spectra += fmt::format(
          "{{\"step\":{},\"layer\":\"{}\",\"kind\":\"hessian\",\"n\":9,\"eigenvalues\":[-1,0.5,{}],"
          "\"trace\":{{\"value\":3,\"standard_error\":0.5}}}}\n",
          step, layer, step + 2);
  dir_.write("a/spectra.jsonl", spectra);
  const std::string page = page_of({path});
  EXPECT_TRUE(contains(page, "<h2>Spectrum</h2>", "largest eigenvalue by layer", "layer 2: 7 at step 5",
                       "one standard error", "1 from below: -1 at step 0"));
  EXPECT_EQ(page.find("3 from below"), std::string::npos) << "three eigenvalues are two from above and one from below";
  dir_.write("a/spectra.jsonl", spectra + "{\"step\":9}\n");
  EXPECT_TRUE(contains(message_of<InputError>([&] { report::read_run(path); }), "spectra.jsonl:7", "eigenvalues"));
}

TEST_F(Report, LargeRunsGiveSmallPages) {
  std::string metrics = line(0, "2");
  for (int step = 1; step <= 30000; ++step)
    metrics +=
        line(step, fmt::format("{}", 1.0 / step + (step == 20000 ? 5 : 0)), R"(,"delta":0.01,"gradient_norm":1)");
  const std::string page = page_of({make_run("a", metrics)});
  EXPECT_LT(page.size(), 200000u);
}

TEST_F(Report, WhatIsNoRunIsRefused) {
  const auto refused = [&](const std::vector<std::string>& arguments, int code, const std::string& part) {
    const ProgramResult r = program(arguments);
    EXPECT_EQ(r.exit_code, code) << r.err;
    EXPECT_TRUE(contains(r.err, part));
  };
  const std::string out = dir_.file("r.html"), a = make_run("a", line(0, "2"));
  refused({dir_.file("none"), "--out", out}, 3, "no such folder, expected a run directory");
  fs::create_directory(dir_.path() / "empty");
  refused({dir_.file("empty"), "--out", out}, 3, "found no config.toml");
  dir_.write("empty/comparison.json", "{}");
  refused({dir_.file("empty"), "--out", out}, 3, "holds a comparison");
  refused({"--out", out}, 2, "expected one or more run directories");
  refused({a}, 2, "--out FILE.html or --tensorboard DIR");
  refused({a, "--out", a + "/metrics.jsonl"}, 2, "would overwrite");
  refused({a, "--out", dir_.file("no/folder.html")}, 3, "found no folder");
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(program({a, "--out", a + "/report.html"}).exit_code, 0);
  EXPECT_EQ(program({a, "-o", a + "/report.html", "--quiet"}).err, "") << "its own file may be replaced";
}

TEST_F(Report, TensorBoardHasAFolderForEachRun) {
  const std::string a = make_run("a", line(0, "2.5") + line(1, "null")), b = make_run("b", line(0, "2"));
  const ProgramResult r = program({a, b, "--tensorboard", dir_.file("tb/deep")});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const std::string file = dir_.file("tb/deep/a/events.out.tfevents.1767323045.hso");
  EXPECT_TRUE(contains(r.err, file));
  EXPECT_TRUE(fs::exists(dir_.file("tb/deep/b/events.out.tfevents.1767323045.hso")));
  const std::string bytes = read_text(file);
  EXPECT_TRUE(contains(bytes, "brain.Event:2", "loss/train", "accuracy/train", "cost/gradient_equivalents"));
  EXPECT_EQ(count(bytes, "loss/train"), 1u) << "null has no event";
  EXPECT_EQ(bytes.find("loss/test"), std::string::npos);
  program({a, b, "--tensorboard", dir_.file("tb/deep")});
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.file("tb/deep/a")), {}), 1) << "replaced";
}

TEST_F(Report, OfATrainingAndAPruning) {
  TrainOptions options = test::tiny_options(dir_, "hso");
  options.steps = 4;
  options.spectrum_every = 2;
  options.run_directory = dir_.file("trained");
  train(options);
  ASSERT_EQ(
      run_program({"prune", "--checkpoint", dir_.file("trained"), "--score", "obs", "--sparsity", "0.5", "--schedule",
                   "iterative:2", "--finetune-steps", "2", "--device", "cpu", "--quiet", "--out", dir_.file("pruned")})
          .exit_code,
      0);
  const std::string page = page_of({dir_.file("trained"), dir_.file("pruned")});
  EXPECT_TRUE(contains(page, "hso prune, obs", "<h2>Pruning</h2>", "multiply_adds", "loss change by stage",
                       "<h2>Spectrum</h2>", "<td>steps</td>"));
  EXPECT_TRUE(contains(message_of<InputError>([&] {
                         report::write_tensorboard(report::read_runs({dir_.file("pruned")}), dir_.file("tb"));
                       }),
                       "pruned", "no records"));
}

}  // namespace
}  // namespace hso
