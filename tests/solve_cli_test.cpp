// SPDX-License-Identifier: Apache-2.0
//
// hso solve against the matrix that hso hessian writes.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "hsogpu/data/io.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::ProgramResult;
using Numbers = std::vector<double>;

constexpr Index kVectors = 3;

class SolveCli : public testing::Test {
 protected:
  ProgramResult run(const std::string& command, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{
        command,    "--model", "mlp:64-2-10:tanh", "--data",  "digits", "--loss", "cross_entropy",
        "--device", "cpu",     "--precision",      "float64", "--out",  out()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::filesystem::remove(out());
    return test::run_program(arguments);
  }
  std::string out() const { return dir_.file("out.npy"); }
  Numbers matrix(const std::string& kind) const {
    const ProgramResult r = run("hessian", {"--kind", kind});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return read_npy(out()).values;
  }
  /// Of the first vectors that were asked for.
  std::string vectors(Index n) {
    v_ = test::normal_numbers<double>(kVectors * n, 5);
    write_npy<double>(dir_.file("v.npy"), {kVectors, n}, v_);
    return dir_.file("v.npy");
  }
  /// max |(A + damping I) (x - eps v) - v|.
  double off(const Numbers& a, const Numbers& x, double damping, double eps) const {
    const std::size_t n = v_.size() / kVectors;
    double worst = 0;
    for (std::size_t k = 0; k < kVectors; ++k)
      for (std::size_t i = 0; i < n; ++i) {
        double sum = damping * (x[k * n + i] - eps * v_[k * n + i]) - v_[k * n + i];
        for (std::size_t j = 0; j < n; ++j) sum += a[i * n + j] * (x[k * n + j] - eps * v_[k * n + j]);
        worst = std::max(worst, std::fabs(sum));
      }
    return worst;
  }
  test::TempDir dir_;
  Numbers v_;
};

TEST_F(SolveCli, EveryMethodSolvesTheDampedSystem) {
  struct Case {
    const char* kind;
    std::vector<std::string> flags;
    const char* method;
  };
  for (const Case& c : {Case{"ggn", {}, "dense"}, Case{"ggn", {"--method", "cg", "--tolerance", "1e-10"}, "cg"},
                        Case{"ggn", {"--method", "cg", "--precondition", "kfac", "--tolerance", "1e-10"}, "cg"},
                        Case{"hessian", {"--method", "minres", "--tolerance", "1e-10"}, "minres"},
                        Case{"hessian", {"--method", "dense"}, "dense"},
                        Case{"kfac", {"--method", "cg", "--tolerance", "1e-10"}, "cg"}}) {
    SCOPED_TRACE(std::string(c.kind) + " by " + c.method);
    const Numbers a = matrix(c.kind);
    const Index n = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(a.size()))));
    std::vector<std::string> flags{"--vector", vectors(n), "--kind", c.kind,  "--damping",
                                   "0.05",     "--eps",    "0.5",    "--json"};
    flags.insert(flags.end(), c.flags.begin(), c.flags.end());
    const ProgramResult r = run("solve", flags);
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const Array x = read_npy(out());
    EXPECT_EQ(x.shape, (Shape{kVectors, n}));
    // |v| is sqrt(n) of normal numbers, its residual at most 1e-10 of that.
    EXPECT_LT(off(a, x.values, 0.05, 0.5), 1e-10 * 2 * std::sqrt(static_cast<double>(n)));
    const auto json = nlohmann::json::parse(r.out);
    EXPECT_EQ(json.at("method"), c.method);
    EXPECT_EQ(json.at("data").at("rows"), 1797);
    double form = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) form += v_[i] * (x.values[i] - 0.5 * v_[i]);
    EXPECT_NEAR(json.at("vectors")[0].at("quadratic_form").get<double>(), form, 1e-9 * form);
    EXPECT_LE(json.at("vectors")[2].at("residual").get<double>(), 1e-10);
  }
}

TEST_F(SolveCli, APlanComesFirstAndMayBeAll) {
  const std::string v = vectors(160);
  const auto planned = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> all{"--vector", v, "--plan", "--kind", "ggn", "--damping", "0.1"};
    all.insert(all.end(), flags.begin(), flags.end());
    const ProgramResult r = run("solve", all);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_FALSE(std::filesystem::exists(out()));
    return r.err;
  };
  EXPECT_TRUE(contains(planned({}), "plan: dense of ggn (n = 160)", "MB", "products: 160", "about"));
  EXPECT_TRUE(contains(planned({"--method", "cg"}), "plan: cg of ggn", "as many as it takes"));
  EXPECT_TRUE(contains(planned({"--method", "cg", "--max-products", "7"}), "products: 21")) << "of three vectors";
  const ProgramResult enough = run("solve", {"--vector", v, "--damping", "9", "--method", "dense", "--memory", "1GB"});
  EXPECT_EQ(enough.exit_code, 0) << enough.err;
  EXPECT_TRUE(contains(enough.err, "plan: dense of hessian"));
}

/// Three matrices of n = 1960 take 92 MB.
TEST_F(SolveCli, ALimitOfMemoryChoosesAndRefuses) {
  const std::string v = vectors(1960);
  const auto limited = [&](const std::string& method) {
    return test::run_program({"solve",       "--data",    "digits",   "--model",  "mlp:64-26-10:tanh",
                              "--precision", "float64",   "--device", "cpu",      "--kind",
                              "ggn",         "--damping", "1",        "--vector", v,
                              "--memory",    "80MB",      "--method", method,     "--plan",
                              "--out",       out()});
  };
  const ProgramResult chosen = limited("auto"), refused = limited("dense");
  EXPECT_EQ(chosen.exit_code, 0) << chosen.err;
  EXPECT_TRUE(contains(chosen.err, "plan: cg of ggn")) << "auto takes what fits: " << chosen.err;
  EXPECT_EQ(refused.exit_code, 4) << refused.err;
  EXPECT_TRUE(contains(refused.err, "n = 1960", "bytes", "the limit of 83886080", "would fit")) << refused.err;
}

TEST_F(SolveCli, FailuresWriteNothingAndSayWhy) {
  const std::string v = vectors(160);
  const auto refused = [&](int code, const std::vector<std::string>& flags, const std::vector<std::string>& parts) {
    std::vector<std::string> all{"--vector", v};
    all.insert(all.end(), flags.begin(), flags.end());
    const ProgramResult r = run("solve", all);
    EXPECT_EQ(r.exit_code, code) << r.err;
    for (const std::string& part : parts) EXPECT_TRUE(contains(r.err, part));
    EXPECT_FALSE(std::filesystem::exists(out()));
  };
  refused(5, {"--kind", "ggn", "--method", "cg", "--damping", "0.001", "--max-products", "3"},
          {"out.npy", "max_iterations", "3 products", "residual"});
  refused(5, {"--kind", "hessian", "--method", "cg"}, {"negative_curvature", "minres"});
  refused(5, {"--kind", "ggn", "--method", "dense"}, {"singular", "--damping"});
  refused(2, {"--method", "lu"}, {"--method 'lu'", "minres"});
  refused(2, {"--precondition", "kfac", "--damping", "1"}, {"--precondition kfac", "--method cg"});
  refused(2, {"--precondition", "kfac", "--method", "cg"}, {"--damping"});
  refused(2, {"--eps", "nan"}, {"--eps: found 'nan'", "finite"});
  refused(2, {"--method", "dense", "--tolerance", "1e-3"}, {"--tolerance", "--method cg"});
  refused(2, {"--kind", "ggn", "--secant-rate", "1"}, {"--secant-rate", "--kind secant"});
  write_npy<double>(v, {7}, Numbers(7, 1.0));
  refused(3, {}, {"--vector", "[7]", "[160]"});
}

}  // namespace
}  // namespace hso
