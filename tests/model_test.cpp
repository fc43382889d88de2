// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "hsogpu/error.hpp"
#include "hsogpu/tape.hpp"

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

std::string layers(const std::string& text) { return "input = [1, 8, 8]\n" + text; }

struct BadToml {
  const char* name;
  std::string text;
  std::vector<std::string> parts;  ///< of the message
};

void PrintTo(const BadToml& bad, std::ostream* os) { *os << bad.name; }

class BadModel : public testing::TestWithParam<BadToml> {};

TEST_P(BadModel, IsRefusedWithFileLineAndReason) {
  try {
    parse_model_toml(GetParam().text, "net.toml");
    FAIL() << "accepted";
  } catch (const InputError& e) {
    for (const std::string& part : GetParam().parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what() << "\nlacks: " << part;
  }
}

const BadToml kBadModels[]{
    {"syntax", "input = [1\n[[layer]]", {"net.toml:2: "}},
    {"top_key", "inputs = [3]\n", {"net.toml:1: ", "'inputs'", "did you mean 'input'"}},
    {"no_input", "[[layer]]\ntype = \"tanh\"\n", {"net.toml: ", "input is missing"}},
    {"input_type", "input = \"3\"\n", {"net.toml:1: ", "input is of type string"}},
    {"input_zero", "input = [1, 0, 3]\n", {"net.toml:1: ", "[1, 0, 3]", "at least 1"}},
    {"input_rank", "input = [1, 1, 1, 1, 1, 1]\n", {"net.toml:1: ", "[C, H, W]"}},
    {"no_layers", "input = [3]\n", {"net.toml: ", "no layers"}},
    {"single_table", "input = [3]\n[layer]\ntype = \"tanh\"\n", {"net.toml:2: ", "[[layer]]"}},
    {"no_parameters", "input = [3]\n[[layer]]\ntype = \"tanh\"\n", {"no layer has parameters"}},
    {"no_type", layers("[[layer]]\nout = 3\n"), {"net.toml:2: layer 0: ", "type is missing"}},
    {"type", layers("[[layer]]\ntype = \"conv\"\n"), {"net.toml:3: layer 0: ", "'conv' (did you mean 'conv2d'?)"}},
    {"key",
     layers("[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"linear\"\nouts = 3\n"),
     {"net.toml:6: layer 1: ", "'outs' of linear (did you mean 'out'?)", "type, name, out, bias"}},
    {"key_of_another", layers("[[layer]]\ntype = \"tanh\"\nslope = 1\n"), {"net.toml:4: ", "'slope' of tanh"}},
    {"missing", layers("[[layer]]\ntype = \"conv2d\"\nout = 3\n"), {"net.toml:2: ", "conv2d: kernel is missing"}},
    {"fraction", layers("[[layer]]\ntype = \"linear\"\nout = 2.0\n"), {"net.toml:4: ", "floating-point", "an integer"}},
    {"triple",
     layers("[[layer]]\ntype = \"maxpool2d\"\nkernel = [2, 2, 2]\n"),
     {"net.toml:4: ", "3 numbers", "a pair"}},
    {"bias", layers("[[layer]]\ntype = \"linear\"\nout = 2\nbias = 1\n"), {"net.toml:5: ", "true or false"}},
    {"stride", layers("[[layer]]\ntype = \"maxpool2d\"\nkernel = 2\nstride = 0\n"), {"net.toml:5: ", "stride = 0"}},
    {"huge", layers("[[layer]]\ntype = \"linear\"\nout = 2147483648\n"), {"net.toml:4: ", "below 2^31"}},
    {"p",
     layers("[[layer]]\ntype = \"dropout\"\np = 1\n"),
     {"net.toml:4: ", "p = 1, expected a number from 0 to below 1"}},
    {"nan", layers("[[layer]]\ntype = \"elu\"\nalpha = nan\n"), {"net.toml:4: ", "alpha = nan"}},
    {"name", layers("[[layer]]\ntype = \"tanh\"\nname = \"0\"\n"), {"net.toml:4: ", "name = \"0\"", "a letter"}},
    {"reserved", layers("[[layer]]\ntype = \"tanh\"\nname = \"input\"\n"), {"net.toml:4: ", "another name"}},
    {"twice",
     layers("[[layer]]\ntype = \"tanh\"\nname = \"a\"\n[[layer]]\ntype = \"tanh\"\nname = \"a\"\n"),
     {"net.toml:5: layer 1: ", "\"a\" is taken"}},
    {"from",
     layers("[[layer]]\ntype = \"tanh\"\nname = \"first\"\n[[layer]]\ntype = \"add\"\nfrom = \"fist\"\n"),
     {"net.toml:5: layer 1: ", "\"fist\" is no earlier", "did you mean 'first'"}},
    {"add_shapes",
     layers("[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"add\"\nfrom = \"input\"\n"),
     {"net.toml:4: layer 1: ", "[64]", "[1, 8, 8]"}},
    {"window",
     layers("[[layer]]\ntype = \"conv2d\"\nout = 3\nkernel = 9\n"),
     {"net.toml:2: layer 0: ", "[3, 1, 9, 9]", "[1, 8, 8]"}},
    {"pool_window", layers("[[layer]]\ntype = \"avgpool2d\"\nkernel = [2, 9]\n"), {"net.toml:2: ", "9", "[1, 8, 8]"}},
    {"conv_on_flat",
     "input = [64]\n[[layer]]\ntype = \"conv2d\"\nout = 3\nkernel = 3\n",
     {"net.toml:2: ", "input [64], expected [C, H, W]"}},
    {"groups",
     "input = [3, 8, 8]\n[[layer]]\ntype = \"conv2d\"\nout = 4\nkernel = 3\ngroups = 2\n",
     {"net.toml:2: ", "input [3, 8, 8] and out = 4", "groups = 2"}},
    {"reshape", layers("[[layer]]\ntype = \"reshape\"\nsize = [5, 5]\n"), {"net.toml:2: ", "[1, 8, 8]", "[5, 5]"}},
    {"overflow",
     "input = [2000000000]\n[[layer]]\ntype = \"linear\"\nout = 2147483647\n[[layer]]\ntype = \"linear\"\nout = "
     "2147483647\n[[layer]]\ntype = \"linear\"\nout = 2147483647\n",
     {"net.toml:8: layer 2: ", "64 bits"}},
};
INSTANTIATE_TEST_SUITE_P(Model, BadModel, testing::ValuesIn(kBadModels),
                         [](const auto& info) { return std::string(info.param.name); });

class BadWord : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BadWord, IsRefusedWithTheReason) {
  const auto& [word, part] = GetParam();
  try {
    parse_model(word);
    FAIL() << "accepted " << word;
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Model, BadWord,
    testing::Values(std::pair{"lenet6", "did you mean 'lenet5'"}, std::pair{"transformer", "expected mlp:"},
                    std::pair{"", "expected mlp:"}, std::pair{"mlp:64", "two sizes"}, std::pair{"mlp:", "size ''"},
                    std::pair{"mlp:64--10", "size ''"}, std::pair{"mlp:64-3x-10", "size '3x'"},
                    std::pair{"mlp:64-0-10", "size '0'"}, std::pair{"mlp:64-99999999999999999999-10", "from 1 to"},
                    std::pair{"mlp:64-10:tanj", "did you mean 'tanh'"}, std::pair{"mlp:64-10:tanh:relu", "INPUT"}));

TEST(Model, ParameterCounts) {
  EXPECT_EQ(parameter_count(parse_model("mlp:16-5-4-10")), 159);
  EXPECT_EQ(parameter_count(parse_model("mlp:16-10")), 170);
  EXPECT_EQ(parameter_count(parse_model("mlp:64-32-10")), 2410);
  EXPECT_EQ(parameter_count(parse_model("lenet300")), 266610);
  EXPECT_EQ(parameter_count(parse_model("lenet5")), 61706);
  EXPECT_EQ(parameter_count(parse_model("digits_cnn")), 1898);
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
  for (LossKind loss : {LossKind::cross_entropy, LossKind::squared_error, LossKind::bce}) {
    const auto net = build_network<float>(model, loss);
    EXPECT_EQ(net.graph[net.graph.target_node()].shape, loss == LossKind::cross_entropy ? Shape{} : Shape{3});
    EXPECT_EQ(net.output, Shape{3});
    EXPECT_EQ(parse_loss(name_of(loss)), loss);
  }
  const auto flat_missing = parse_model_toml("input = [2, 4]\n[[layer]]\ntype = \"linear\"\nout = 3\n", "net.toml");
  try {
    build_network<float>(flat_missing, LossKind::cross_entropy);
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_EQ(std::string(e.what()),
              "net.toml:2: layer 0: cross_entropy: output [2, 3], expected [classes]; a flatten layer may be missing");
  }
  EXPECT_THROW(parse_loss("mse"), UsageError);
}

TEST(Model, HandMadeModelsAreCheckedToo) {
  ModelSpec model = mlp({4, 3, 2});
  model.layers[0].out = 0;
  try {
    build_network<float>(model, LossKind::cross_entropy);
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_EQ(std::string(e.what()), "mlp:4-3-2:tanh: layer 0: linear: out = 0, expected at least 1 and below 2^31");
  }
  EXPECT_THROW(build_network<float>({"none", {3}, {}}, LossKind::bce), InputError);
  EXPECT_THROW(build_network<float>({"none", {}, mlp({1, 1}).layers}, LossKind::bce), InputError);
  EXPECT_THROW(mlp({3}), UsageError);
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

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};

Moments moments(const std::vector<double>& theta, const ParameterInfo& p) {
  Moments m;
  const auto n = static_cast<double>(p.shape.size());
  for (Index i = p.offset; i < p.offset + p.shape.size(); ++i) {
    const double x = theta[static_cast<std::size_t>(i)];
    m.mean += x / n;
    m.variance += x * x / n;
    m.largest = std::max(m.largest, std::abs(x));
  }
  m.variance -= m.mean * m.mean;
  return m;
}

/// 0 for a tensor that starts at zero.
double expected_variance(const ParameterInfo& p, Initialization initialization) {
  const auto in = static_cast<double>(p.fan_in), out = static_cast<double>(p.fan_out);
  if (initialization == Initialization::pytorch) return 1 / in / 3;
  if (p.is_bias) return 0;
  return initialization == Initialization::glorot ? 2 / (in + out) : 2 / in;
}

TEST(Initialization, MeanVarianceAndBounds) {
  const auto net = build_network<float>(parse_model("lenet5"), LossKind::cross_entropy);
  for (const std::string& name : initialization_names()) {
    const Initialization kind = parse_initialization(name);
    const auto theta = initial_parameters(net.parameters, kind, 7);
    ASSERT_EQ(theta.size(), 61706u);
    for (const ParameterInfo& p : net.parameters) {
      const Moments m = moments(theta, p);
      const double variance = expected_variance(p, kind), n = static_cast<double>(p.shape.size());
      // Five standard errors; var(x^2) is 4/5 of sigma^4 for the uniform, 2 for the normal distribution.
      EXPECT_LE(std::abs(m.mean), 5 * std::sqrt(variance / n)) << name << " " << p.name;
      if (n > 100) EXPECT_NEAR(m.variance, variance, 5 * variance * std::sqrt(2 / n)) << name << " " << p.name;
      if (kind != Initialization::kaiming) EXPECT_LE(m.largest, std::sqrt(3 * variance)) << name << " " << p.name;
      if (p.is_bias && kind != Initialization::pytorch) EXPECT_EQ(m.largest, 0) << name << " " << p.name;
    }
  }
  EXPECT_THROW(parse_initialization("xavier"), UsageError);
}

TEST(Initialization, SeedDecidesAndTensorsDiffer) {
  const auto net = build_network<double>(parse_model("mlp:8-8-8"), LossKind::cross_entropy);
  const auto start = [&](std::uint64_t seed) {
    return initial_parameters(net.parameters, Initialization::glorot, seed);
  };
  const auto theta = start(3);
  EXPECT_EQ(theta, start(3));
  EXPECT_NE(theta, start(4));
  const auto second = net.parameters[2].offset;
  EXPECT_FALSE(std::equal(theta.begin(), theta.begin() + 64, theta.begin() + second));
}

}  // namespace
}  // namespace hso
