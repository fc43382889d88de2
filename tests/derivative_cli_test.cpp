// SPDX-License-Identifier: Apache-2.0
//
// hso gradient, hso hessian and hso check through the program's own entry.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "hsogpu/data/io.hpp"
#include "hsogpu/graph/model.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/test_file.hpp"

namespace hso {
namespace {

using test::contains;
using test::ProgramResult;
using test::run_program;
using Numbers = std::vector<double>;

/// max |a - b| over max |b|.
double relative_difference(const Numbers& a, const Numbers& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, largest = 1e-300;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference = std::max(difference, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return difference / largest;
}

/// Files of one problem in a folder of its own, and the program run on them.
class Files {
 public:
  std::string npy(const std::string& name, const Shape& shape, const Numbers& values) const {
    write_npy<double>(dir_.file(name), shape, values);
    return dir_.file(name);
  }
  void problem(const std::string& model, const std::string& loss, const std::string& precision) {
    base_ = {"--model", model, "--loss", loss, "--device", "cpu"};
    if (!precision.empty()) base_.insert(base_.end(), {"--precision", precision});
    base_.insert(base_.end(),
                 {"--params", dir_.file("theta.npy"), "--data", dir_.file("x.npy") + "," + dir_.file("y.npy")});
  }
  ProgramResult run(const std::string& command, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{command};
    arguments.insert(arguments.end(), base_.begin(), base_.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  /// Runs with --out and reads the result; the loss goes to `loss`.
  Numbers result(const std::string& command, std::vector<std::string> more, double* loss = nullptr) const {
    const std::string out = dir_.file("out.npy");
    std::filesystem::remove(out);
    more.insert(more.end(), {"--out", out});
    const ProgramResult r = run(command, more);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    if (r.exit_code != 0) return {};
    if (loss != nullptr) *loss = std::stod(r.out);
    return read_npy(out).values;
  }
  const test::TempDir& dir() const { return dir_; }
  std::string file(const std::string& name) const { return dir_.file(name); }

 private:
  test::TempDir dir_;
  std::vector<std::string> base_;
};

constexpr Index kRows = 9, kParameters = 4 * 5 + 5 + 5 * 3 + 3;

/// mlp:4-5-3:tanh on 9 rows.
class DerivativeCli : public testing::Test {
 protected:
  void SetUp() override {
    files_.npy("x.npy", {kRows, 4}, test::normal_numbers<double>(kRows * 4, 1));
    write_labels({0, 1, 2, 2, 1, 0, 0, 1, 2});
    Numbers theta = test::normal_numbers<double>(kParameters, 2);
    for (double& t : theta) t *= 0.5;
    files_.npy("theta.npy", {kParameters}, theta);
    files_.problem("mlp:4-5-3:tanh", "cross_entropy", "float64");
  }
  /// int64, as numpy stores class numbers; the library writes floats alone.
  void write_labels(const std::vector<std::int64_t>& labels) {
    std::string header =
        "{'descr': '<i8', 'fortran_order': False, 'shape': (" + std::to_string(labels.size()) + ",), }";
    header.resize(117, ' ');
    header += '\n';
    std::string bytes("\x93NUMPY\x01\x00\x76\x00", 10);
    bytes += header;
    bytes.append(reinterpret_cast<const char*>(labels.data()), labels.size() * sizeof(labels[0]));
    files_.dir().write("y.npy", bytes);
  }
  /// Exit code and message of a bad call; nothing was written.
  void expect_refusal(const ProgramResult& r, int exit_code, const std::vector<std::string>& parts) {
    EXPECT_EQ(r.exit_code, exit_code) << r.err;
    for (const std::string& part : parts) EXPECT_TRUE(contains(r.err, part));
    EXPECT_FALSE(std::filesystem::exists(files_.file("out.npy")));
  }
  std::vector<std::string> with_out(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--out", files_.file("out.npy")});
    return more;
  }
  Files files_;
};

TEST_F(DerivativeCli, GradientIsTheSlopeOfTheLoss) {
  double loss = 0;
  const Numbers g = files_.result("gradient", {}, &loss);
  ASSERT_EQ(g.size(), static_cast<std::size_t>(kParameters));
  Numbers theta = read_npy(files_.file("theta.npy")).values;
  const Numbers v = test::normal_numbers<double>(kParameters, 3);
  const double h = 1e-5;
  double losses[2];
  for (int side = 0; side < 2; ++side) {
    Numbers moved = theta;
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += (side == 0 ? h : -h) * v[i];
    files_.npy("theta.npy", {kParameters}, moved);
    files_.result("gradient", {}, &losses[side]);
  }
  EXPECT_NEAR((losses[0] - losses[1]) / (2 * h), std::inner_product(g.begin(), g.end(), v.begin(), 0.0), 1e-8);
  EXPECT_NEAR(0.5 * (losses[0] + losses[1]), loss, 1e-8);
}

TEST_F(DerivativeCli, DenseMatrixAgreesWithProductsOfEveryKind) {
  const Numbers v = test::normal_numbers<double>(2 * kParameters, 4);
  files_.npy("v.npy", {2, kParameters}, v);
  const Numbers exact = files_.result("hessian", {});
  for (const char* kind : {"hessian", "ggn", "finite_difference"}) {
    const Numbers h = files_.result("hessian", {"--kind", kind, "--lanes", "7"});
    const Numbers hv = files_.result("hessian", {"--kind", kind, "--vector", files_.file("v.npy"), "--lanes", "1"});
    Numbers expected(v.size(), 0.0);
    for (std::size_t k = 0; k < 2; ++k)
      for (std::size_t i = 0; i < kParameters; ++i)
        for (std::size_t j = 0; j < kParameters; ++j)
          expected[k * kParameters + i] += h[i * kParameters + j] * v[k * kParameters + j];
    const bool differences = std::string(kind) == "finite_difference";
    EXPECT_LT(relative_difference(hv, expected), differences ? 1e-7 : 1e-13) << kind;
    if (differences) {
      EXPECT_LT(relative_difference(h, exact), 1e-7);
    }
  }
}

TEST_F(DerivativeCli, OneVectorKeepsItsShapeAndDenseSaysHowGoodItIs) {
  files_.npy("v.npy", {kParameters}, test::normal_numbers<double>(kParameters, 4));
  files_.result("hessian", {"--vector", files_.file("v.npy")});
  EXPECT_EQ(read_npy(files_.file("out.npy")).shape, Shape{kParameters});
  EXPECT_TRUE(contains(files_.run("hessian", with_out()).err, "against a random full product", "asymmetry"));
}

TEST_F(DerivativeCli, SinglePrecisionIsTheDefaultAndCloseToDouble) {
  const Numbers h = files_.result("hessian", {});
  files_.problem("mlp:4-5-3:tanh", "cross_entropy", "");
  const Numbers single = files_.result("hessian", {});
  EXPECT_LT(relative_difference(single, h), 5e-5);
  EXPECT_GT(relative_difference(single, h), 0) << "float64 was used";
}

TEST_F(DerivativeCli, CheckPassesAndSpeaksJson) {
  const ProgramResult r = files_.run("check", {"--json", "--rows", "6"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "6 rows", "hessian: symmetry", "passed"));
  EXPECT_TRUE(nlohmann::json::parse(r.out).at("passed").get<bool>());
}

/// The gradient is exactly zero there and its differences are not: rounding is a share of those.
TEST_F(DerivativeCli, CheckPassesWhereTheGradientVanishes) {
  files_.npy("y.npy", {kRows, 3}, Numbers(kRows * 3, 0.0));
  files_.npy("theta.npy", {15}, Numbers(15, 0.0));
  files_.problem("mlp:4-3", "squared_error", "float64");
  const ProgramResult r = files_.run("check", {});
  EXPECT_EQ(r.exit_code, 0) << r.err;
}

TEST_F(DerivativeCli, CheckNeedsNoParameters) {
  const ProgramResult r = run_program({"check", "--model", "mlp:64-4-10:tanh", "--data", "digits", "--rows", "20"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "");
}

TEST_F(DerivativeCli, CheckExitsWith5WhenNothingIsFinite) {
  files_.npy("theta.npy", {kParameters}, Numbers(kParameters, 1e308));
  EXPECT_EQ(files_.run("check", {}).exit_code, 5);
}

TEST_F(DerivativeCli, ThetaOfTheWrongLengthShowsBothShapes) {
  files_.npy("theta.npy", {kParameters - 1}, Numbers(kParameters - 1, 0.1));
  for (const char* command : {"gradient", "hessian"})
    expect_refusal(files_.run(command, with_out()), 3, {"theta.npy", "[42]", "[43]"});
  EXPECT_EQ(files_.run("check", {}).exit_code, 3);
}

TEST_F(DerivativeCli, ThetaThatIsNotFinite) {
  Numbers theta(kParameters, 0.1);
  theta[4] = NAN;
  files_.npy("theta.npy", {kParameters}, theta);
  expect_refusal(files_.run("gradient", with_out()), 3, {"theta.npy", "nan", "4"});
}

TEST_F(DerivativeCli, LossThatIsNotFiniteIsANumericalFailure) {
  files_.npy("theta.npy", {kParameters}, Numbers(kParameters, 1e308));
  expect_refusal(files_.run("gradient", with_out()), 5, {"loss"});
}

TEST_F(DerivativeCli, DataThatDoesNotFit) {
  files_.npy("x.npy", {kRows, 5}, Numbers(kRows * 5, 0.5));
  expect_refusal(files_.run("gradient", with_out()), 3, {"[4]", "[5]"});
  Numbers x(kRows * 4, 0.5);
  x[7] = INFINITY;
  files_.npy("x.npy", {kRows, 4}, x);
  expect_refusal(files_.run("gradient", with_out()), 3, {"inf"});
}

TEST_F(DerivativeCli, LabelsThatDoNotFit) {
  write_labels({0, 1, 2, 3, 1, 0, 0, 1, 2});
  expect_refusal(files_.run("hessian", with_out()), 3, {"y.npy: sample 3 has label 3", "0 to 2", "3 outputs"});
  write_labels({0, 1});
  expect_refusal(files_.run("hessian", with_out()), 3, {"y.npy"});
}

TEST_F(DerivativeCli, VectorsThatDoNotFit) {
  files_.npy("v.npy", {2, 7}, Numbers(14, 1.0));
  expect_refusal(files_.run("hessian", with_out({"--vector", files_.file("v.npy")})), 3, {"v.npy", "[2, 7]", "[43]"});
  Numbers v(kParameters, 1.0);
  v[0] = -INFINITY;
  files_.npy("v.npy", {kParameters}, v);
  expect_refusal(files_.run("hessian", with_out({"--vector", files_.file("v.npy")})), 3, {"v.npy", "inf"});
  expect_refusal(files_.run("hessian", with_out({"--vector", files_.file("none.npy")})), 3, {"none.npy"});
}

TEST_F(DerivativeCli, WordsThatAreNotKnown) {
  expect_refusal(files_.run("hessian", with_out({"--kind", "hesian"})), 2, {"hesian", "ggn"});
  expect_refusal(files_.run("gradient", with_out({"--sede", "1"})), 2, {"--sede"});
  expect_refusal(files_.run("gradient", {}), 2, {"--out"});
}

TEST_F(DerivativeCli, OutputFolderIsLookedForBeforeAnythingElse) {
  const ProgramResult r = files_.run("gradient", {"--out", files_.file("missing/g.npy")});
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_TRUE(contains(r.err, "missing", "--out"));
}

TEST_F(DerivativeCli, APlanComputesNothingAndALimitRefusesIt) {
  for (const char* command : {"gradient", "hessian"}) {
    const ProgramResult plan = files_.run(command, with_out({"--plan"}));
    EXPECT_EQ(plan.exit_code, 0) << plan.err;
    EXPECT_TRUE(contains(plan.err, "plan: ", "MB are free"));
    EXPECT_EQ(plan.out, "");
    expect_refusal(files_.run(command, with_out({"--memory", "12KB"})), 4, {"12288", "would"});
  }
  for (const char* command : {"gradient", "hessian"})
    EXPECT_EQ(files_.run(command, with_out({"--memory", "2GB"})).exit_code, 0);
}

TEST(DerivativeCliMemory, DenseMatrixBeyondTheLimitIsRefused) {
  const test::TempDir dir;
  const ProgramResult r = run_program({"hessian", "--data", "digits", "--device", "cpu", "--precision", "float64",
                                       "--memory", "100MB", "--model", "mlp:64-60-10", "--out", dir.file("h.npy")});
  EXPECT_EQ(r.exit_code, 4) << r.err;
  EXPECT_TRUE(contains(r.err, "dense curvature matrix: n = 4510", "the limit of 104857600", "would fit")) << r.err;
  EXPECT_FALSE(std::filesystem::exists(dir.file("h.npy")));
}

TEST(DerivativeCliMemory, DenseMatrixThatCannotFitIsRefusedBeforeAnyWork) {
  const test::TempDir dir;
  const ProgramResult r = run_program({"hessian", "--model", "mlp:64-30000-10:tanh", "--data", "digits", "--device",
                                       "cpu", "--out", dir.file("h.npy")});
  EXPECT_EQ(r.exit_code, 4);
  EXPECT_TRUE(contains(r.err, "n = 2250010", "bytes", "would fit"));
  EXPECT_FALSE(std::filesystem::exists(dir.file("h.npy")));
}

// ---- reference networks ----

struct Golden {
  const char *name, *model, *loss;
};

constexpr const char* kCnn =
    "input = [1, 8, 8]\n[[layer]]\ntype = 'conv2d'\nout = 2\nkernel = 3\npadding = 1\n[[layer]]\ntype = 'tanh'\n"
    "[[layer]]\ntype = 'avgpool2d'\nkernel = 2\n[[layer]]\ntype = 'conv2d'\nout = 3\nkernel = 3\n"
    "[[layer]]\ntype = 'tanh'\n[[layer]]\ntype = 'flatten'\n[[layer]]\ntype = 'linear'\nout = 10\n";

class GoldenNetwork : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    entry_ = nlohmann::json::parse(test::test_file("data/golden/nets/index.json")).at(GetParam().name);
    const std::string bytes = test::test_file("data/golden/nets/" + std::string(GetParam().name) + ".f64");
    values_.resize(bytes.size() / sizeof(double));
    std::memcpy(values_.data(), bytes.data(), values_.size() * sizeof(double));
    write();
  }
  Shape shape(const char* array) const {
    const auto extents = entry_.at("arrays").at(array).at("shape").get<std::vector<Index>>();
    return Shape(Span<const Index>(extents));
  }
  Numbers array(const char* name) const {
    const auto first = values_.begin() + entry_.at("arrays").at(name).at("offset_doubles").get<Index>();
    return Numbers(first, first + shape(name).size());
  }
  /// The data as CSV, shortest round-trip digits, the class in the last column.
  void write() {
    for (const char* name : {"theta", "v"}) files_.npy(std::string(name) + ".npy", shape(name), array(name));
    const Numbers x = array("x"), y = array("y");
    const std::size_t columns = x.size() / y.size();
    std::string csv;
    for (std::size_t row = 0; row < y.size(); ++row) {
      for (std::size_t j = 0; j < columns; ++j) csv += nlohmann::json(x[row * columns + j]).dump() + ",";
      csv += std::to_string(static_cast<int>(y[row])) + "\n";
    }
    files_.dir().write("data.csv", csv);
    files_.dir().write("net.toml", GetParam().model);
  }
  void compare(const std::string& precision, double tolerance) {
    const std::string word = GetParam().model;
    const std::vector<std::string> base{"--model",     word.starts_with("mlp:") ? word : files_.file("net.toml"),
                                        "--loss",      GetParam().loss,
                                        "--params",    files_.file("theta.npy"),
                                        "--data",      files_.file("data.csv"),
                                        "--scaling",   "none",
                                        "--device",    "cpu",
                                        "--precision", precision};
    double loss = 0;
    EXPECT_LE(relative_difference(files_.result("gradient", base, &loss), array("grad")), tolerance);
    EXPECT_LE(relative_difference({loss}, array("loss")), tolerance);
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.end(), base.begin(), base.end());
      return files_.result("hessian", more);
    };
    EXPECT_LE(relative_difference(with({"--vector", files_.file("v.npy")}), array("Hv")), tolerance);
    EXPECT_LE(relative_difference(with({}), array("H")), tolerance);
    EXPECT_LE(relative_difference(with({"--kind", "ggn"}), array("GGN")), tolerance);
  }
  Files files_;
  nlohmann::json entry_;
  Numbers values_;
};

TEST_P(GoldenNetwork, Float64) { compare("float64", 1e-10); }
TEST_P(GoldenNetwork, Float32) { compare("float32", 5e-5); }

INSTANTIATE_TEST_SUITE_P(All, GoldenNetwork,
                         testing::Values(Golden{"mlp_tanh_ce", "mlp:16-5-4-10:tanh", "cross_entropy"},
                                         Golden{"mlp_sigmoid_mse", "mlp:16-5-4-10:sigmoid", "squared_error"},
                                         Golden{"mlp_relu_ce", "mlp:16-5-4-10:relu", "cross_entropy"},
                                         Golden{"softmax_regression", "mlp:16-10", "cross_entropy"},
                                         Golden{"cnn_tanh_avgpool_ce", kCnn, "cross_entropy"}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace hso
