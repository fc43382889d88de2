// SPDX-License-Identifier: Apache-2.0
#include "support/shrink_models.hpp"

#include <random>

#include "hsogpu/graph/tape.hpp"
#include "support/contexts.hpp"

namespace hso::test {
namespace {

std::vector<ShrinkCase> all_cases() {
  std::vector<ShrinkCase> cases;
  for (const char* word : {"mlp:6-1-3", "mlp:6-5-3:tanh", "mlp:6-5-4-3:sigmoid", "mlp:5-7-6-4-3:softplus",
                           "mlp:6-5-4-3:gelu", "mlp:6-5-4-3:silu", "lenet5", "digits_cnn"})
    cases.push_back({word, parse_model(word), true});
  for (const char* word : {"mlp:5-7-6-4-3:relu", "mlp:6-5-4-3:leaky_relu", "mlp:6-5-4-3:elu"})
    cases.push_back({word, parse_model(word), false});
  const auto add = [&](const std::string& name, const ModelSpec& model) { cases.push_back({name, model, true}); };
  add("no_bias", model_of("[6]", {"linear out = 5, bias = false", "sigmoid", "linear out = 4, bias = false", "tanh",
                                  "linear out = 3"}));
  add("residual", model_of("[2, 6, 5]", {"conv2d out = 5, kernel = 3, padding = 1", "tanh name = \"a\"",
                                         "conv2d out = 4, kernel = 3, padding = 1", "tanh",
                                         "conv2d out = 5, kernel = 3, padding = 1", "add from = \"a\"",
                                         "silu name = \"b\"", "conv2d out = 5, kernel = 1", "add from = \"b\"",
                                         "avgpool2d kernel = 2", "flatten", "linear out = 3"}));
  add("residual_mlp", model_of("[4]", {"linear out = 5", "tanh name = \"a\"", "linear out = 5", "add from = \"a\"",
                                       "sigmoid", "linear out = 3"}));
  add("residual_input",
      model_of("[4]", {"linear out = 6", "tanh", "linear out = 4", "add from = \"input\"", "tanh", "linear out = 3"}));
  add("grouped", model_of("[2, 5, 5]", {"conv2d out = 8, kernel = 3", "tanh", "conv2d out = 12, kernel = 2, groups = 4",
                                        "tanh", "flatten", "linear out = 3"}));
  add("grouped_input", model_of("[4, 4, 4]", {"conv2d out = 6, kernel = 3, groups = 2", "tanh",
                                              "conv2d out = 4, kernel = 2", "flatten", "linear out = 3"}));
  add("depthwise", model_of("[2, 6, 6]", {"conv2d out = 6, kernel = 3", "sigmoid",
                                          "conv2d out = 12, kernel = 3, padding = 1, groups = 6", "softplus",
                                          "conv2d out = 5, kernel = 1, bias = false", "tanh",
                                          "adaptive_avgpool2d size = 2", "flatten", "linear out = 3"}));
  add("padded", model_of("[1, 7, 6]",
                         {"conv2d out = 4, kernel = 3, padding = [1, 0], stride = 2", "sigmoid",
                          "maxpool2d kernel = 2, stride = 1, padding = 1", "conv2d out = 5, kernel = 2, padding = 1",
                          "softplus", "avgpool2d kernel = 2, padding = 1", "conv2d out = 4, kernel = 2, dilation = 1",
                          "gelu", "reshape size = 24", "linear out = 3"}));
  add("dropout", model_of("[5]", {"linear out = 6", "tanh", "dropout p = 0.4", "linear out = 5", "sigmoid",
                                  "dropout p = 0.2", "linear out = 2"}));
  add("last_axis", model_of("[3, 4]", {"linear out = 5", "sigmoid", "linear out = 4", "tanh", "flatten",
                                       "linear out = 6", "tanh", "linear out = 3"}));
  add("reshape", model_of("[2, 4, 4]", {"conv2d out = 4, kernel = 1", "tanh", "reshape size = [8, 8]", "linear out = 5",
                                        "tanh", "flatten", "linear out = 3"}));
  // Not smooth: what a recurrent layer or a norm makes of masked weights is not followed, so units may stay in vain.
  cases.push_back({"recurrent",
                   model_of("[4, 3]", {"linear out = 5", "tanh", "gru hidden = 4, bidirectional = true, last = true",
                                       "linear out = 6", "tanh", "linear out = 3"}),
                   false});
  cases.push_back(
      {"normalised",
       model_of("[2, 4, 4]", {"conv2d out = 4, kernel = 3", "groupnorm groups = 2", "tanh", "flatten", "linear out = 5",
                              "layernorm", "sigmoid", "linear out = 4", "tanh", "linear out = 3"}),
       false});
  add("image_axis", model_of("[2, 4, 3]", {"conv2d out = 4, kernel = 1", "tanh", "linear out = 5", "tanh",
                                           "conv2d out = 3, kernel = 2", "flatten", "linear out = 3"}));
  return cases;
}

}  // namespace

ModelSpec model_of(const std::string& input, const std::vector<std::string>& layers) {
  std::string text = "input = " + input + "\n";
  for (const std::string& line : layers) {
    const std::size_t space = std::min(line.find(' '), line.size());
    text += "[[layer]]\ntype = \"" + line.substr(0, space) + "\"\n";
    std::string options = line.substr(space);
    for (std::size_t i = 0, depth = 0; i < options.size(); ++i) {
      if (options[i] == '[') ++depth;
      if (options[i] == ']') --depth;
      if (options[i] == ',' && depth == 0) options[i] = '\n';
    }
    text += options + "\n";
  }
  return parse_model_toml(text, "model.toml");
}

const std::vector<ShrinkCase>& shrink_cases() {
  static const std::vector<ShrinkCase> cases = all_cases();
  return cases;
}

Index parameters_of(const ModelSpec& model) {
  return build_network<float>(model, LossKind::squared_error).graph.parameter_count();
}

Numbers random_theta(const ModelSpec& model, std::uint64_t seed) {
  return random_numbers(static_cast<std::size_t>(parameters_of(model)), seed);
}

Numbers masked(Numbers theta, const Mask& mask) {
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (mask.kept[i] == 0) theta[i] = 0;
  return theta;
}

Mask random_mask(Index n, double kept, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Mask mask = Mask::all(n);
  for (auto& k : mask.kept) k = static_cast<double>(random() >> 11) * 0x1p-53 < kept;
  return mask;
}

Numbers outputs(const ModelSpec& model, const Numbers& theta) {
  constexpr Index kRows = 3;
  Context& on = context(contexts().front());
  const Network<double> net = build_network<double>(model, LossKind::squared_error);
  Tape<double> tape(on, net.graph, kRows);
  const Numbers x = random_numbers(static_cast<std::size_t>(kRows * net.input.size()), 7);
  const Numbers t(static_cast<std::size_t>(kRows * net.output.size()));
  tape.bind(x, t);
  Buffer<double> device(on, Span<const double>(theta));
  tape.forward(device.data());
  Numbers y(t.size());
  on.to_host(tape.output().data, y.data(), static_cast<Index>(y.size() * sizeof(double)));
  return y;
}

}  // namespace hso::test
