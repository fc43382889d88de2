// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/model.hpp"

namespace hso {
namespace {

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
    {"hidden", "input = [4, 3]\n[[layer]]\ntype = \"lstm\"\n", {"net.toml:2: ", "lstm: hidden is missing"}},
    {"no_states", "input = [4, 3]\n[[layer]]\ntype = \"gru\"\nhidden = 0\n", {"net.toml:4: ", "hidden = 0"}},
    {"no_steps",
     "input = [12]\n[[layer]]\ntype = \"rnn\"\nhidden = 2\n",
     {"net.toml:2: layer 0: ", "rnn: input [12], expected [steps, features]"}},
    {"nonlinearity",
     "input = [4, 3]\n[[layer]]\ntype = \"rnn\"\nhidden = 2\nnonlinearity = \"gelu\"\n",
     {"net.toml:5: ", "nonlinearity = \"gelu\", expected one of tanh, relu"}},
    {"norm_size",
     "input = [4, 3]\n[[layer]]\ntype = \"layernorm\"\nsize = [2, 3]\n",
     {"net.toml:2: layer 0: ", "layernorm: size = [2, 3], expected the last extents of the input [4, 3]"}},
    {"norm_groups",
     "input = [4, 3]\n[[layer]]\ntype = \"groupnorm\"\ngroups = 3\n",
     {"net.toml:2: layer 0: ", "groupnorm: input [4, 3], expected channels that divide into groups = 3"}},
    {"norm_momentum",
     "input = [4]\n[[layer]]\ntype = \"batchnorm1d\"\nmomentum = 1.5\n",
     {"net.toml:2: layer 0: ", "batchnorm1d 0: momentum = 1.5, expected a number from 0 to 1"}},
    {"norm_eps", "input = [4]\n[[layer]]\ntype = \"batchnorm1d\"\neps = -2\n", {"net.toml:4: ", "eps = -2"}},
    {"norm_of_images",
     "input = [4, 3]\n[[layer]]\ntype = \"batchnorm2d\"\n",
     {"net.toml:2: layer 0: ", "batchnorm2d: input [4, 3], expected [C, H, W]"}},
    {"shortcut",
     "input = [4, 8, 8]\n[[layer]]\ntype = \"conv2d\"\nout = 3\nkernel = 1\n[[layer]]\ntype = \"shortcut\"\n"
     "from = \"input\"\n",
     {"net.toml:6: layer 1: ", "shortcut: [4, 8, 8] to [3, 8, 8], expected"}},
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
                         [](const auto& bad) { return std::string(bad.param.name); });

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
                    std::pair{"resnet20:3x32", "CHANNELSxHEIGHTxWIDTH"}, std::pair{"resnet20:0x32x32", "size '0'"},
                    std::pair{"mlp:64-10:tanj", "did you mean 'tanh'"}, std::pair{"mlp:64-10:tanh:relu", "INPUT"}));

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

}  // namespace
}  // namespace hso
