// SPDX-License-Identifier: Apache-2.0
//
// The checker accepts right derivatives and finds planted errors.
#include "hsogpu/objective/check.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"

namespace hso {
namespace {

using test::contains;

/// What is wrong with the derivatives of TestObjective.
enum class Plant {
  nothing,
  gradient,        // one component 1 % off
  gradient_value,  // gradient() returns another value than value()
  scale,           // Hv 1 % too long
  asymmetric,      // H + N, N not symmetric
  lanes,           // the second lane gets the first one's product
  stale,           // products add onto what was there
  dense,           // one block of the dense matrix is zero
  indefinite,      // G has a negative direction
};

constexpr Index kSize = 7;

/// f = sum x_i^4 / 4 + (c'x)^2 / 2 + slope max(0, x_0 - kink), c_i = 1 / (i + 1). On the CPU device memory is host
/// memory.
class TestObjective final : public Objective<double> {
 public:
  explicit TestObjective(Plant plant = Plant::nothing) : plant_(plant) {}

  double kink = 0, slope = 0;

  Context& context() const override { return test::context("cpu"); }
  Index dimension() const override { return kSize; }
  double value(const double* x) override {
    double quartic = 0;
    for (Index i = 0; i < kSize; ++i) quartic += 0.25 * std::pow(x[i], 4);
    return quartic + 0.5 * std::pow(along(x), 2) + slope * std::max(0.0, x[0] - kink);
  }
  double gradient(const double* x, double* g) override {
    for (Index i = 0; i < kSize; ++i) g[i] = std::pow(x[i], 3) + along(x) / static_cast<double>(i + 1);
    if (x[0] > kink) g[0] += slope;
    if (plant_ == Plant::gradient) g[3] *= 1.01;
    return plant_ == Plant::gradient_value ? value(x) + 0.5 : value(x);
  }
  std::unique_ptr<LinearOperator<double>> curvature(const double* x, Curvature kind) override;

  static double along(const double* x) {
    double sum = 0;
    for (Index i = 0; i < kSize; ++i) sum += x[i] / static_cast<double>(i + 1);
    return sum;
  }

 private:
  Plant plant_;
};

class TestOperator final : public LinearOperator<double> {
 public:
  TestOperator(const double* x, Plant plant, bool ggn) : x_(x, x + kSize), plant_(plant), ggn_(ggn) {}
  Context& context() const override { return test::context("cpu"); }
  Index dimension() const override { return kSize; }
  void apply(View<const double> v, View<double> hv) override {
    for (Index k = 0; k < v.lanes; ++k) product(v.lane(plant_ == Plant::lanes && k == 1 ? 0 : k), hv.lane(k));
  }
  void to_dense(double* h) override {
    LinearOperator<double>::to_dense(h);
    if (plant_ == Plant::dense) h[2 * kSize + 1] = 0;
  }

 private:
  void product(const double* v, double* hv) {
    for (Index i = 0; i < kSize; ++i) {
      const double x = x_[static_cast<std::size_t>(i)];
      const double old = plant_ == Plant::stale ? last_ : 0;
      hv[i] = (ggn_ ? x * x : 3 * x * x) * v[i] + TestObjective::along(v) / static_cast<double>(i + 1) + old;
      if (plant_ == Plant::scale && !ggn_) hv[i] *= 1.01;
      if (plant_ == Plant::asymmetric && i == 1) hv[i] += 0.1 * v[4];
      if (plant_ == Plant::indefinite && ggn_) hv[i] -= 3 * v[i];
    }
    last_ = hv[0];
  }
  std::vector<double> x_;
  Plant plant_;
  bool ggn_;
  double last_ = 0;
};

std::unique_ptr<LinearOperator<double>> TestObjective::curvature(const double* x, Curvature kind) {
  return std::make_unique<TestOperator>(x, plant_, kind == Curvature::ggn);
}

const std::vector<double>& point() {
  static const std::vector<double> x{0.6, -0.4, 1.1, 0.9, -0.7, 0.3, 0.8};
  return x;
}

CheckReport report_of(TestObjective& objective, const CheckOptions& options = {}) {
  return check_derivatives<double>(objective, point().data(), options);
}

CheckStatus status_of(const CheckReport& report, const std::string& name) {
  const CheckItem* item = report.find(name);
  EXPECT_NE(item, nullptr) << name << " is not in\n" << report.table();
  return item == nullptr ? CheckStatus::skipped : item->status;
}

constexpr const char* kGradient = "gradient = differences of the value";
constexpr const char* kHessian = "hessian = differences of the gradient";

TEST(Check, AcceptsRightDerivatives) {
  TestObjective objective;
  const CheckReport report = report_of(objective);
  EXPECT_TRUE(report.passed()) << report.table();
  EXPECT_GE(report.items.size(), 11u);
  for (const CheckItem& item : report.items) {
    EXPECT_EQ(item.status, CheckStatus::passed) << item.name;
    EXPECT_LT(item.bound, 1e-6) << item.name << ": a bound that loose proves nothing";
  }
}

struct Planted {
  Plant plant;
  const char* item;
};

class CheckFinds : public testing::TestWithParam<Planted> {};

TEST_P(CheckFinds, PlantedError) {
  TestObjective objective(GetParam().plant);
  const CheckReport report = report_of(objective);
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(status_of(report, GetParam().item), CheckStatus::failed) << report.table();
  EXPECT_FALSE(report.find(GetParam().item)->note.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, CheckFinds,
    testing::Values(Planted{Plant::gradient, kGradient}, Planted{Plant::gradient_value, "value: alone = with gradient"},
                    Planted{Plant::scale, kHessian}, Planted{Plant::asymmetric, "hessian: symmetry"},
                    Planted{Plant::lanes, "hessian: lanes = single calls"}, Planted{Plant::stale, "hessian: linearity"},
                    Planted{Plant::dense, "hessian: dense = products"},
                    Planted{Plant::indefinite, "ggn: positive semidefinite"}),
    [](const auto& test) { return "item" + std::to_string(test.index); });

TEST(Check, ErrorOfOnePercentIsMeasuredAsOnePercent) {
  TestObjective objective(Plant::scale);
  EXPECT_NEAR(report_of(objective).find(kHessian)->error, 0.01 / 1.01, 1e-6);
}

TEST(Check, NamesTheBlockThatDisagrees) {
  TestObjective objective(Plant::gradient);
  CheckOptions options;
  options.blocks = {{"first", 0, 3}, {"second", 3, 2}, {"third", 5, 2}};
  EXPECT_TRUE(contains(report_of(objective, options).find(kGradient)->note, "second"));
}

TEST(Check, KinkNearbyIsPassedWithShorterSteps) {
  TestObjective objective;
  objective.slope = 5;
  objective.kink = point()[0] - 1e-6;
  CheckOptions options;
  options.kinks = {"relu"};
  const CheckReport report = report_of(objective, options);
  EXPECT_EQ(status_of(report, kGradient), CheckStatus::passed) << report.table();
  EXPECT_TRUE(contains(report.find(kGradient)->note, "kink (relu)"));
}

TEST(Check, PointOnAKinkIsInconclusiveWhenDeclaredAndFailedOtherwise) {
  TestObjective objective;
  objective.slope = 5;
  objective.kink = point()[0];
  CheckOptions options;
  EXPECT_EQ(status_of(report_of(objective, options), kGradient), CheckStatus::failed);
  options.kinks = {"relu"};
  const CheckReport report = report_of(objective, options);
  EXPECT_EQ(status_of(report, kGradient), CheckStatus::inconclusive) << report.table();
  EXPECT_TRUE(report.passed());
}

TEST(Check, KinksDoNotExcuseDifferencesWhenAnIdentityFails) {
  TestObjective objective(Plant::asymmetric);
  CheckOptions options;
  options.kinks = {"relu"};
  EXPECT_EQ(status_of(report_of(objective, options), kHessian), CheckStatus::failed);
}

TEST(Check, NotFiniteIsFailedAtOnce) {
  TestObjective objective;
  const std::vector<double> x(kSize, 1e200);
  const CheckReport report = check_derivatives<double>(objective, x.data());
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.items.size(), 1u);
  EXPECT_NO_THROW(nlohmann::json::parse(report.json()));
}

TEST(Check, ReportsAsTableAndJson) {
  TestObjective objective(Plant::scale);
  const CheckReport report = report_of(objective);
  EXPECT_TRUE(contains(report.table(), kHessian, "failed", "passed"));
  const auto json = nlohmann::json::parse(report.json());
  EXPECT_FALSE(json.at("passed").get<bool>());
  EXPECT_EQ(json.at("items").size(), report.items.size());
}

// ---- networks ----

Dataset random_classes(Index rows, const Shape& shape, Index classes) {
  Dataset data;
  data.name = "random";
  data.size = rows;
  data.input_shape = shape;
  data.inputs = test::normal_numbers<double>(rows * shape.size(), 5);
  data.classes = classes;
  for (Index i = 0; i < rows; ++i) data.targets.push_back(static_cast<double>((i * 7) % classes));
  return data;
}

CheckReport check_model(const ModelSpec& model, LossKind loss, const Dataset& data) {
  const auto parameters = build_network<double>(model, loss).parameters;
  const std::vector<double> theta = initial_parameters(parameters, Initialization::pytorch, 3);
  NetworkCheckOptions options;
  options.device = "cpu";
  return check_network(model, loss, data, theta, options);
}

TEST(CheckNetwork, SmoothNetworksPassEveryItem) {
  for (const LossKind loss : {LossKind::cross_entropy, LossKind::squared_error, LossKind::bce}) {
    const CheckReport report = check_model(parse_model("mlp:6-5-3:tanh"), loss, random_classes(11, {6}, 3));
    EXPECT_TRUE(report.passed()) << report.table();
    for (const CheckItem& item : report.items)
      EXPECT_TRUE(item.status == CheckStatus::passed || item.name == "cpu = cuda") << name_of(loss) << report.table();
    for (const char* name :
         {"batches: parts add up", "batches: micro-batches = whole", "float32 = float64", "ggn: symmetry"})
      EXPECT_NE(report.find(name), nullptr) << name;
  }
}

TEST(CheckNetwork, KinkedNetworksDoNotFail) {
  const char* kText =
      "input = [1, 6, 6]\n[[layer]]\ntype = 'conv2d'\nout = 2\nkernel = 3\n[[layer]]\ntype = 'relu'\n"
      "[[layer]]\ntype = 'maxpool2d'\nkernel = 2\n[[layer]]\ntype = 'flatten'\n[[layer]]\ntype = 'linear'\nout = 3\n";
  const CheckReport report =
      check_model(parse_model_toml(kText, "cnn"), LossKind::cross_entropy, random_classes(9, {1, 6, 6}, 3));
  EXPECT_TRUE(report.passed()) << report.table();
  EXPECT_EQ(status_of(report, "hessian: symmetry"), CheckStatus::passed);
}

TEST(CheckNetwork, UnitsOnTheirKinkAreInconclusive) {
  const ModelSpec model = parse_model("mlp:4-6-3:relu");
  Dataset data = random_classes(5, {4}, 3);
  std::fill(data.inputs.begin(), data.inputs.begin() + 8, 0.0);  // with zero biases, the hidden units of two rows are 0
  const auto parameters = build_network<double>(model, LossKind::cross_entropy).parameters;
  const std::vector<double> theta = initial_parameters(parameters, Initialization::glorot, 1);
  NetworkCheckOptions options;
  options.device = "cpu";
  const CheckReport report = check_network(model, LossKind::cross_entropy, data, theta, options);
  EXPECT_TRUE(report.passed()) << report.table();
  EXPECT_EQ(status_of(report, kGradient), CheckStatus::inconclusive) << report.table();
  EXPECT_TRUE(contains(report.find(kGradient)->note, "relu", ".bias"));
}

/// float32 cannot hold the second weight, so its loss is another one; no unit has a kink that could excuse it.
TEST(CheckNetwork, SmoothNetworksAreNotExcused) {
  Dataset data = random_classes(4, {2}, 2);
  std::fill(data.inputs.begin(), data.inputs.end(), 1.0);
  const std::vector<double> theta{1e8, -1e8 + 1.7, 0, 0, 0, 0};
  NetworkCheckOptions options;
  options.device = "cpu";
  const CheckReport report = check_network(parse_model("mlp:2-2"), LossKind::cross_entropy, data, theta, options);
  EXPECT_EQ(status_of(report, "float32 = float64"), CheckStatus::failed) << report.table();
  EXPECT_FALSE(contains(report.table(), "kink (")) << report.table();
}

TEST(CheckNetwork, AZeroGradientIsNotAFailure) {
  // Equal inputs, classes in equal numbers, theta = 0: the gradient is odd about theta, and so is its rounding error.
  for (const auto& [network, classes] : {std::pair<const char*, Index>{"mlp:2-2", 2},
                                         {"mlp:2-3:tanh", 3},
                                         {"mlp:2-4-2:tanh", 2},
                                         {"mlp:2-5-3:sigmoid", 3}}) {
    const ModelSpec model = parse_model(network);
    const auto parameters = build_network<double>(model, LossKind::cross_entropy).parameters;
    Dataset data = random_classes(6, {2}, classes);
    std::fill(data.inputs.begin(), data.inputs.end(), 1.0);
    for (std::size_t i = 0; i < 6; ++i) data.targets[i] = static_cast<double>(static_cast<Index>(i) % classes);
    NetworkCheckOptions options;
    options.device = "cpu";
    const std::vector<double> theta(initial_parameters(parameters, Initialization::glorot, 1).size(), 0.0);
    const CheckReport report = check_network(model, LossKind::cross_entropy, data, theta, options);
    EXPECT_TRUE(report.passed()) << network << report.table();
  }
}

TEST(CheckNetwork, NearlyZeroLossIsNotAFailure) {
  const ModelSpec model = parse_model("mlp:3-3:tanh");
  Dataset data = random_classes(6, {3}, 3);
  for (Index i = 0; i < data.size; ++i)
    for (Index j = 0; j < 3; ++j)
      data.inputs[static_cast<std::size_t>(3 * i + j)] =
          j == static_cast<Index>(data.targets[static_cast<std::size_t>(i)]);
  std::vector<double> theta(12, 0.0);
  for (std::size_t i = 0; i < 3; ++i) theta[4 * i] = 18.37;  // every row is right by e^-18
  NetworkCheckOptions options;
  options.device = "cpu";
  const CheckReport report = check_network(model, LossKind::cross_entropy, data, theta, options);
  EXPECT_TRUE(report.passed()) << report.table();
}

TEST(CheckNetwork, ShapesThatDoNotFitAreInputErrors) {
  const ModelSpec model = parse_model("mlp:6-5-3:tanh");
  const std::vector<double> theta(10, 0.0);
  const auto check = [&](const Dataset& data) { check_network(model, LossKind::cross_entropy, data, theta); };
  EXPECT_TRUE(contains(test::message_of<InputError>([&] { check(random_classes(4, {6}, 3)); }), "[10]", "[53]"));
  EXPECT_TRUE(contains(test::message_of<InputError>([&] { check(random_classes(4, {5}, 3)); }), "[6]", "[5]"));
}

}  // namespace
}  // namespace hso
