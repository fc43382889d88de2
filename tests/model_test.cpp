// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/graph/model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/tape.hpp"

namespace hso {
namespace {

constexpr const char* kGoldenCnn = R"(
input = [1, 8, 8]
[[layer]]
type = "conv2d"
out = 2
kernel = 3
padding = 1
[[layer]]
type = "tanh"
[[layer]]
type = "avgpool2d"
kernel = [2, 2]
[[layer]]
type = "conv2d"
out = 3
kernel = 3
[[layer]]
type = "tanh"
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
out = 10
)";

/// Every type and every option at least once.
constexpr const char* kEverything = R"(
name = "every \"type\""
input = [4, 9, 10]
[[layer]]
type = "conv2d"
name = "first"
out = 6
kernel = [3, 2]
stride = [2, 1]
padding = [1, 0]
dilation = [1, 2]
groups = 2
bias = false
[[layer]]
type = "leaky_relu"
slope = 0.2
[[layer]]
type = "add"
from = "first"
[[layer]]
type = "maxpool2d"
kernel = 2
stride = 1
padding = [0, 1]
[[layer]]
type = "elu"
alpha = 1e-3
[[layer]]
type = "avgpool2d"
kernel = 2
[[layer]]
type = "adaptive_avgpool2d"
size = 2
[[layer]]
type = "reshape"
size = [4, 6]
[[layer]]
type = "dropout"
p = 0.25
[[layer]]
type = "linear"
out = 5
[[layer]]
type = "relu"
[[layer]]
type = "sigmoid"
[[layer]]
type = "softplus"
[[layer]]
type = "gelu"
[[layer]]
type = "silu"
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
out = 3
bias = false
)";

Index parameter_count(const ModelSpec& model) {
  return build_network<float>(model, LossKind::cross_entropy).graph.parameter_count();
}

TEST(Model, ParameterCounts) {
  EXPECT_EQ(parameter_count(parse_model("mlp:16-5-4-10")), 159);
  EXPECT_EQ(parameter_count(parse_model("mlp:16-10")), 170);
  EXPECT_EQ(parameter_count(parse_model("mlp:64-32-10")), 2410);
  EXPECT_EQ(parameter_count(parse_model("lenet300")), 266610);
  EXPECT_EQ(parameter_count(parse_model("lenet5")), 61706);
  EXPECT_EQ(parameter_count(parse_model("digits_cnn")), 1954);
  EXPECT_EQ(parameter_count(parse_model("resnet20:3x32x32")), 269722);  // He et al. 2016, table 6: 0.27 million
  EXPECT_EQ(parameter_count(parse_model("resnet20")), 269722 - 2 * 16 * 9);
  EXPECT_EQ(parameter_count(parse_model("lstm")), 4 * 128 * (28 + 128 + 2) + 1290);
  EXPECT_EQ(parameter_count(parse_model("gru:5x3-4-6-2")), 3 * 4 * (3 + 4 + 2) + 3 * 6 * (4 + 6 + 2) + 14);
  EXPECT_EQ(parameter_count(parse_model_toml(kGoldenCnn, "cnn.toml")), 207);
}

TEST(Model, WordsMeanWhatTheySay) {
  const ModelSpec plain = parse_model("mlp:64-32-10"), relu = parse_model("mlp:64-32-16-10:leaky_relu");
  EXPECT_EQ(plain, mlp({64, 32, 10}, Activation::tanh));
  EXPECT_EQ(plain.name, "mlp:64-32-10:tanh");
  std::vector<std::string> types;
  for (const LayerSpec& layer : relu.layers) types.push_back(layer.type);
  EXPECT_EQ(types, (std::vector<std::string>{"linear", "leaky_relu", "linear", "leaky_relu", "linear"}));
  for (const std::string& name : model_names()) EXPECT_EQ(parse_model(name).name, name);
}

TEST(Model, TomlRoundTrip) {
  std::vector<ModelSpec> models{parse_model("mlp:16-5-4-10:relu"), parse_model_toml(kEverything, "net.toml"),
                                parse_model_toml(kGoldenCnn, "some/where/cnn.toml")};
  EXPECT_EQ(models.back().name, "cnn");
  for (const std::string& name : model_names()) models.push_back(parse_model(name));
  for (const ModelSpec& model : models) EXPECT_EQ(parse_model_toml(to_toml(model), "copy"), model) << to_toml(model);
}

TEST(Model, ReadsAFile) {
  const auto path = std::filesystem::path(testing::TempDir()) / "hso_model_test.toml";
  std::ofstream(path) << kGoldenCnn;
  EXPECT_EQ(parse_model(path.string()).layers, parse_model_toml(kGoldenCnn, "").layers);
  std::filesystem::remove(path);
  EXPECT_THROW(parse_model(path.string()), InputError);
  EXPECT_THROW(parse_model(testing::TempDir() + "/"), InputError);
}

TEST(Model, ParametersAreInPyTorchsOrder) {
  const auto net = build_network<double>(parse_model_toml(kEverything, "net.toml"), LossKind::cross_entropy);
  ASSERT_EQ(net.parameters.size(), 4u);
  const auto &conv = net.parameters[0], &weight = net.parameters[1], &bias = net.parameters[2];
  EXPECT_EQ(conv.name, "first.weight");
  EXPECT_EQ(conv.shape, (Shape{6, 2, 3, 2}));
  EXPECT_EQ(conv.fan_in, 12);
  EXPECT_EQ(conv.fan_out, 36);
  EXPECT_EQ(weight.name, "9.weight");
  EXPECT_EQ(weight.shape, (Shape{5, 6}));
  EXPECT_EQ(bias.name, "9.bias");
  EXPECT_TRUE(bias.is_bias);
  EXPECT_EQ(bias.fan_in, 6);
  EXPECT_EQ(bias.layer, 9);
  Index offset = 0;
  for (const ParameterInfo& p : net.parameters) {
    EXPECT_EQ(p.offset, offset);
    offset += p.shape.size();
  }
  EXPECT_EQ(offset, net.graph.parameter_count());
}

TEST(Model, RecurrentLayersHavePyTorchsParameters) {
  const char* text = R"(
input = [5, 3]
[[layer]]
type = "lstm"
hidden = 4
layers = 2
bidirectional = true
last = true
[[layer]]
type = "layernorm"
)";
  const auto model = parse_model_toml(text, "net.toml");
  const auto net = build_network<double>(model, LossKind::cross_entropy);
  std::vector<std::string> names;
  for (const ParameterInfo& p : net.parameters) names.push_back(p.name + p.shape.to_string());
  EXPECT_EQ(names, (std::vector<std::string>{
                       "0.weight_ih_l0[16, 3]", "0.weight_hh_l0[16, 4]", "0.bias_ih_l0[16]", "0.bias_hh_l0[16]",
                       "0.weight_ih_l0_reverse[16, 3]", "0.weight_hh_l0_reverse[16, 4]", "0.bias_ih_l0_reverse[16]",
                       "0.bias_hh_l0_reverse[16]", "0.weight_ih_l1[16, 8]", "0.weight_hh_l1[16, 4]", "0.bias_ih_l1[16]",
                       "0.bias_hh_l1[16]", "0.weight_ih_l1_reverse[16, 8]", "0.weight_hh_l1_reverse[16, 4]",
                       "0.bias_ih_l1_reverse[16]", "0.bias_hh_l1_reverse[16]", "1.weight[8]", "1.bias[8]"}));
  EXPECT_EQ(net.output, (Shape{8}));
  // Five steps of 16 x (3 + 4) and 16 x (8 + 4) in both directions, and eight scales.
  EXPECT_EQ(multiply_adds(model), 5 * 2 * 16 * (7 + 12) + 8);
  const auto theta = initial_parameters(net.parameters, Initialization::pytorch, 3);
  double largest = 0;
  for (const ParameterInfo& p : net.parameters)
    for (Index i = p.offset; i < p.offset + p.shape.size(); ++i) {
      const double x = theta[static_cast<std::size_t>(i)];
      if (p.layer == 1)
        EXPECT_EQ(x, p.is_bias ? 0 : 1) << p.name;
      else
        largest = std::max(largest, std::abs(x));
    }
  EXPECT_LE(largest, 0.5);  // 1 / sqrt(hidden)
  EXPECT_GT(largest, 0.49);
}

TEST(Model, OptionsReachTheOps) {
  // conv2d: floor((9 + 2*1 - 3) / 2) + 1 = 5 by floor((10 - (2*1 + 1)) / 1) + 1 = 8; max pool: 4 by 8 + 2 - 2 + 1 = 9.
  const auto layers = summarize(parse_model_toml(kEverything, "net.toml"));
  EXPECT_EQ(layers[0].output, (Shape{6, 5, 8}));
  EXPECT_EQ(layers[3].output, (Shape{6, 4, 9}));
  EXPECT_EQ(layers[5].output, (Shape{6, 2, 4}));
  EXPECT_EQ(layers[6].output, (Shape{6, 2, 2}));
  EXPECT_EQ(layers[9].output, (Shape{4, 5}));
  EXPECT_EQ(layers.back().output, (Shape{3}));
}

TEST(Model, ComputesWithThetaAsStated) {
  const char* text = R"(
input = [2]
[[layer]]
type = "linear"
name = "a"
out = 2
[[layer]]
type = "leaky_relu"
slope = 0.5
[[layer]]
type = "add"
from = "a"
[[layer]]
type = "add"
from = "input"
)";
  const auto net = build_network<double>(parse_model_toml(text, "net.toml"), LossKind::squared_error);
  EXPECT_EQ(net.graph[net.graph.target_node()].shape, (Shape{2}));
  const auto context = Context::create("cpu");
  Tape<double> tape(*context, net.graph, 1);
  const std::vector<double> x{1, 2}, target{0, 0}, theta{1, 2, 3, -4, 0.5, 1};
  tape.bind(std::span(const_cast<double*>(x.data()), 2), std::span(const_cast<double*>(target.data()), 2));
  const double f = tape.forward(theta.data());
  // z = W x + b = (5.5, -4); y = leaky(z) + z + x
  EXPECT_DOUBLE_EQ(tape.output().data[0], 5.5 + 5.5 + 1);
  EXPECT_DOUBLE_EQ(tape.output().data[1], -2.0 - 4 + 2);
  EXPECT_DOUBLE_EQ(f, (12.0 * 12 + 4 * 4) / 2);
}

TEST(Model, LossesDecideTheTarget) {
  const ModelSpec model = parse_model("mlp:4-3");
  for (LossKind loss : {LossKind::cross_entropy, LossKind::squared_error, LossKind::bce, LossKind::huber}) {
    const auto net = build_network<float>(model, loss);
    EXPECT_EQ(net.graph[net.graph.target_node()].shape, loss == LossKind::cross_entropy ? Shape{} : Shape{3});
    EXPECT_EQ(net.output, Shape{3});
    EXPECT_EQ(parse_loss(name_of(loss)), loss);
  }
  const auto steps = parse_model_toml("input = [2, 4]\n[[layer]]\ntype = \"linear\"\nout = 3\n", "net.toml");
  const auto sequences = build_network<float>(steps, LossKind::cross_entropy);
  EXPECT_EQ(sequences.graph[sequences.graph.target_node()].shape, Shape{2});
  const auto flat_missing = parse_model_toml("input = [2, 2, 4]\n[[layer]]\ntype = \"linear\"\nout = 3\n", "net.toml");
  try {
    build_network<float>(flat_missing, LossKind::cross_entropy);
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_EQ(std::string(e.what()),
              "net.toml:2: layer 0: cross_entropy: output [2, 2, 3], expected [classes] or [steps, classes]; a flatten "
              "layer may be missing");
  }
  EXPECT_THROW(parse_loss("mse"), UsageError);
}

TEST(Model, TakesDataOfItsSize) {
  const ModelSpec flat = parse_model("mlp:64-10"), image = parse_model("digits_cnn");
  for (const ModelSpec& model : {flat, image})
    for (const Shape& data : {Shape{64}, Shape{1, 8, 8}}) EXPECT_NO_THROW(check_input(model, data));
  EXPECT_NO_THROW(check_input(image, {8, 8}));
  EXPECT_THROW(check_input(image, {1, 4, 16}), InputError);
  EXPECT_THROW(check_input(flat, {1, 28, 28}), InputError);
}

TEST(Model, WorkAndSummary) {
  EXPECT_EQ(multiply_adds(parse_model("mlp:64-32-10")), 64 * 32 + 32 * 10);
  // LeNet-5: 28*28*6*25 + 10*10*16*6*25 + 400*120 + 120*84 + 84*10
  EXPECT_EQ(multiply_adds(parse_model("lenet5")), 117600 + 240000 + 48000 + 10080 + 840);
  const std::string table = summary_table(parse_model("lenet5"));
  EXPECT_NE(table.find("61,706"), std::string::npos) << table;
  EXPECT_NE(table.find("416,520"), std::string::npos) << table;
}

}  // namespace
}  // namespace hso
