// SPDX-License-Identifier: Apache-2.0
//
// hso spectrum through the program's own entry: its methods against each other, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "hsogpu/data/io.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/symmetric.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::ProgramResult;
using Json = nlohmann::json;
using Numbers = std::vector<double>;

/// mlp:4-6-3:tanh at its seeded start on 20 rows, in float64.
class SpectrumCli : public testing::Test {
 protected:
  static constexpr Index kN = 4 * 6 + 6 + 6 * 3 + 3;

  void SetUp() override {
    const Numbers x = test::normal_numbers<double>(80, 1), t = test::normal_numbers<double>(60, 2);
    write_npy<double>(dir_.file("x.npy"), Shape{20, 4}, x);
    write_npy<double>(dir_.file("y.npy"), Shape{20, 3}, t);
  }
  ProgramResult run(const std::vector<std::string>& more, const std::string& precision = "float64") const {
    std::vector<std::string> arguments{
        "spectrum", "--model",       "mlp:4-6-3:tanh", "--data", dir_.file("x.npy") + "," + dir_.file("y.npy"),
        "--loss",   "squared_error", "--device",       "cpu",    "--precision",
        precision};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::run_program(arguments);
  }
  Json json(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = more;
    arguments.push_back("--json");
    const ProgramResult r = run(arguments);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return Json::parse(r.out, nullptr, false);
  }
  std::string file(const std::string& name) const { return dir_.file(name); }

  test::TempDir dir_;
};

TEST_F(SpectrumCli, MethodsAgree) {
  const Json dense = json({"--method", "dense", "--vectors", file("v.npy"), "--out", file("s.json")});
  const Numbers values = dense["eigenvalues"];
  ASSERT_EQ(values.size(), static_cast<std::size_t>(kN));
  const double size = std::max(std::abs(values.front()), std::abs(values.back()));
  EXPECT_NEAR(dense["trace"]["value"], std::accumulate(values.begin(), values.end(), 0.0), 1e-12 * size);
  EXPECT_EQ(Json::parse(read_text(file("s.json"))), dense);

  const Json ends = json({"--method", "lanczos", "--which", "both", "--k", "6"});
  const Numbers few = ends["eigenvalues"], residuals = ends["residuals"];
  ASSERT_EQ(few.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(few[i], values[i < 3 ? i : values.size() - 6 + i], residuals[i] + 1e-12 * size);

  const Json slq = json({"--method", "slq", "--probes", "40"});
  EXPECT_LE(slq["trace"]["interval"][0], dense["trace"]["value"]);
  EXPECT_GE(slq["trace"]["interval"][1], dense["trace"]["value"]);
  EXPECT_EQ(slq["trace"]["probes"], 40);
  const Json hutchinson = json({"--method", "trace", "--probes", "40"});
  EXPECT_NEAR(hutchinson["trace"]["value"], slq["trace"]["value"], 1e-9 * size);  // the same probes
  EXPECT_EQ(json({})["method"], "dense");
}

/// Interval and parts of the Gauss-Newton matrix's numbers, whose trace is XNysTrace's unless another is asked for.
TEST_F(SpectrumCli, LogDeterminantsAndTracesHoldTheExactOnes) {
  const Json dense = json({"--kind", "ggn", "--method", "dense", "--log-det", "1e-6"});
  const auto holds = [&](const Json& e, const Json& exact) {
    EXPECT_LE(e["interval"][0], exact["value"]);
    EXPECT_GE(e["interval"][1], exact["value"]);
    EXPECT_GE(e["quadrature_error"], 0);
    EXPECT_GE(e["rounding_error"], 0);
    EXPECT_TRUE(e["quadrature_bounded"]);
  };
  for (const char* precondition : {"none", "kfac"}) {
    const Json slq = json({"--kind", "ggn", "--method", "slq", "--probe-steps", "10", "--log-det", "1e-6",
                           "--precondition", precondition});
    holds(slq["log_determinant"], dense["log_determinant"]);
    holds(slq["trace"], dense["trace"]);
  }
  const Json automatic = json({"--kind", "ggn", "--method", "trace"}),
             named = json({"--kind", "ggn", "--method", "trace", "--trace-method", "xnystrace"});
  holds(automatic["trace"], dense["trace"]);
  EXPECT_EQ(automatic["trace"], named["trace"]);
  EXPECT_EQ(run({"--method", "trace", "--trace-method", "xnystrace"}).exit_code, 2);
  EXPECT_EQ(run({"--kind", "ggn", "--weight-decay", "-1"}).exit_code, 2);  // it would not be semidefinite
  EXPECT_EQ(run({"--method", "slq", "--precondition", "kfac", "--log-det", "1"}).exit_code, 2);
  EXPECT_EQ(run({"--kind", "ggn", "--method", "slq", "--precondition", "kfac"}).exit_code, 2);
}

TEST_F(SpectrumCli, VectorsAreEigenvectorsOfTheWrittenHessian) {
  const Json dense = json({"--method", "dense", "--vectors", file("v.npy")});
  const ProgramResult h = test::run_program({"hessian", "--model", "mlp:4-6-3:tanh", "--data",
                                             file("x.npy") + "," + file("y.npy"), "--loss", "squared_error", "--device",
                                             "cpu", "--precision", "float64", "--out", file("h.npy")});
  ASSERT_EQ(h.exit_code, 0) << h.err;
  const Numbers v = read_npy(file("v.npy")).values, matrix = read_npy(file("h.npy")).values;
  EXPECT_LE(test::eigen_residual(matrix, v, dense["eigenvalues"], kN, 2.3e-16), 30);
}

TEST_F(SpectrumCli, LayersAreDiagonalBlocks) {
  const Json layer = json({"--layers", "2"}), tensor = json({"--layers", "0.bias"});
  EXPECT_EQ(layer["n"], 6 * 3 + 3);
  EXPECT_EQ(tensor["n"], 6);
  const ProgramResult wrong = run({"--layers", "2.wieght"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_TRUE(contains(wrong.err, "2.wieght", "0.weight, 0.bias, 2.weight, 2.bias", "did you mean"));
}

TEST_F(SpectrumCli, KindsAreAllThere) {
  for (const char* kind : {"ggn", "fisher_mc", "fisher_empirical", "gradient_outer"}) {
    const Json r = json({"--kind", kind});
    EXPECT_GE(r["eigenvalues"][0].get<double>(), -1e-12 * r["eigenvalues"].back().get<double>()) << kind;
  }
  EXPECT_EQ(json({"--kind", "gradient_outer"})["rank"]["rank"], 1);
  EXPECT_EQ(run({"--kind", "hesian"}).exit_code, 2);
}

TEST_F(SpectrumCli, FactoredKindsAreThereToo) {
  const double trace = json({"--kind", "ggn"})["trace"]["value"];
  EXPECT_NEAR(json({"--kind", "ekfac"})["trace"]["value"], trace, 1e-10 * trace);
  EXPECT_NEAR(json({"--kind", "diagonal"})["trace"]["value"], trace, 1e-10 * trace);
  EXPECT_GE(json({"--kind", "kfac", "--factors", "fisher_mc", "--draws", "3"})["eigenvalues"][0], -1e-10 * trace);
  const double top = json({})["eigenvalues"].back(), secant = json({"--kind", "secant"})["eigenvalues"].back();
  EXPECT_NEAR(secant, top, 1e-5 * top);
  EXPECT_EQ(json({"--kind", "secant", "--secant", "sgd", "--secant-count", "1"})["rank"]["rank"], 2);
  const ProgramResult wrong = run({"--kind", "kfac", "--factors", "hessian"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_TRUE(contains(wrong.err, "kfac", "expected ggn, fisher_mc or fisher_empirical"));
  EXPECT_EQ(run({"--kind", "secant", "--secant", "axes"}).exit_code, 2);
}

TEST_F(SpectrumCli, NearAShift) {
  const Numbers all = json({})["eigenvalues"];
  const double shift = all[30] + 0.4 * (all[31] - all[30]);
  const Json near = json({"--method", "lanczos", "--near", std::to_string(shift), "--k", "1", "--tolerance", "1e-6"});
  double best = all[0];
  for (double v : all) best = std::abs(v - shift) < std::abs(best - shift) ? v : best;
  EXPECT_NEAR(near["eigenvalues"][0], best, 1e-6 * all.back());
  EXPECT_TRUE(near["extremes"]["confirmed"]);
  EXPECT_EQ(json({"--near", std::to_string(shift), "--k", "1", "--tolerance", "1e-6"})["eigenvalues"][0],
            near["eigenvalues"][0]);
  EXPECT_EQ(run({"--method", "lanczos", "--near", "left"}).exit_code, 2);
  EXPECT_EQ(run({"--method", "slq", "--near", "1"}).exit_code, 2);
}

/// More parameters than residuals, so that zeros abound: five of them are found, and the result says that it knows.
TEST_F(SpectrumCli, TheEndsOfASingularMatrixAreTheEnds) {
  const std::vector<std::string> ggn{"--kind", "ggn",    "--layers",
                                     "0",      "--data", file("few_x.npy") + "," + file("few_y.npy")};
  write_npy<double>(file("few_x.npy"), Shape{2, 4}, test::normal_numbers<double>(8, 3));
  write_npy<double>(file("few_y.npy"), Shape{2, 3}, test::normal_numbers<double>(6, 4));
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), ggn.begin(), ggn.end());
    return more;
  };
  for (const auto& where : {std::vector<std::string>{"--which", "smallest"}, {"--near", "0"}}) {
    std::vector<std::string> more = with({"--method", "lanczos", "--k", "5"});
    more.insert(more.end(), where.begin(), where.end());
    const Json r = json(more);
    ASSERT_EQ(r["eigenvalues"].size(), 5U);
    for (const double value : r["eigenvalues"]) EXPECT_NEAR(value, 0, 1e-7) << where[1];
    EXPECT_TRUE(r["extremes"]["confirmed"]) << where[1];
  }
  EXPECT_TRUE(contains(run(with({"--method", "lanczos", "--which", "smallest", "--k", "5"})).err, "none is missing"));
}

TEST_F(SpectrumCli, MemoryIsAsPlanned) {
  for (const char* method : {"dense", "lanczos", "slq", "trace", "rank"}) {
    const Json memory = json({"--method", method})["memory"];
    EXPECT_LE(memory["high_water_bytes"], memory["planned_bytes"]) << method;
    EXPECT_LE(memory["planned_bytes"].get<double>(), memory["high_water_bytes"].get<double>() + (32 << 20)) << method;
  }
}

TEST_F(SpectrumCli, APictureStandsAlone) {
  EXPECT_EQ(run({"--method", "slq", "--probes", "4", "--svg", file("s.svg")}).exit_code, 0);
  const std::string svg = read_text(file("s.svg"));
  EXPECT_TRUE(contains(svg, "<svg", "polyline", "</svg>"));
  EXPECT_EQ(svg.find("href"), std::string::npos);
  EXPECT_EQ(run({"--method", "rank", "--svg", file("r.svg")}).exit_code, 0) << "by the matrix it has eigenvalues";
  EXPECT_EQ(run({"--method", "dense", "--svg", file("d.svg")}).exit_code, 0);
  EXPECT_TRUE(contains(read_text(file("r.svg")), "polyline"));
}

/// At theta = 0 the first layer's Gauss-Newton block is zero.
TEST_F(SpectrumCli, AZeroMatrixIsDrawnToo) {
  write_npy<double>(file("zero.npy"), Shape{kN}, Numbers(static_cast<std::size_t>(kN)));
  for (const char* method : {"dense", "slq"}) {
    const ProgramResult r = run(
        {"--params", file("zero.npy"), "--layers", "0", "--kind", "ggn", "--method", method, "--svg", file("s.svg")});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_TRUE(contains(read_text(file("s.svg")), "</svg>"));
  }
}

TEST_F(SpectrumCli, APlanComputesNothing) {
  const ProgramResult r = run({"--plan", "--out", file("s.json")});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(contains(r.err, "plan: dense", "products: 51", "MB"));
  EXPECT_FALSE(std::filesystem::exists(file("s.json")));
}

TEST_F(SpectrumCli, WhatDidNotConvergeIsWrittenWithExitCode5) {
  const ProgramResult r = run({"--method", "lanczos", "--k", "10", "--max-products", "12", "--out", file("s.json")});
  EXPECT_EQ(r.exit_code, 5) << r.err;
  const Json written = Json::parse(read_text(file("s.json")));
  EXPECT_EQ(written["stop"], "max_products");
  EXPECT_EQ(written["eigenvalues"].size(), 10u);
}

TEST_F(SpectrumCli, RefusesBeforeItComputes) {
  EXPECT_TRUE(contains(run({"--method", "dence"}).err, "spectrum method 'dence'", "did you mean 'dense'"));
  EXPECT_EQ(run({"--method", "slq", "--vectors", file("v.npy")}).exit_code, 2);
  EXPECT_EQ(run({"--out", file("missing/s.json")}).exit_code, 3);
  const ProgramResult r = run({"--method", "rank"}, "float32");
  EXPECT_EQ(r.exit_code, 0);
}

}  // namespace
}  // namespace hso
