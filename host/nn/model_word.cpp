// SPDX-License-Identifier: Apache-2.0
//
// The words of the model grammar.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "io/text_parts.hpp"
#include "nn/named_models.hpp"
#include "nn/network_layers.hpp"

namespace hso {
namespace {

constexpr std::string_view kMlp = "mlp:", kResnet = "resnet20:";

Index parse_size(const std::string& text, const std::string& word) {
  const auto value = number_in<Index>(text);
  if (!value || *value < 1 || *value > INT32_MAX)
    throw UsageError(fmt::format("model '{}': size '{}', expected a whole number from 1 to {}", shown(word),
                                 shown(text), INT32_MAX));
  return *value;
}

Activation parse_hidden(const std::string& name, const std::string& word) {
  const auto& names = activation_names();
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw UsageError(fmt::format("model '{}': activation '{}'{}, expected one of {}", shown(word), shown(name),
                                 did_you_mean(name, names), fmt::join(names, ", ")));
  return static_cast<Activation>(at - names.begin());
}

ModelSpec parse_mlp(const std::string& word) {
  const auto parts = split_text(std::string_view(word).substr(kMlp.size()), ':');
  std::vector<Index> sizes;
  for (const std::string& size : split_text(parts[0], '-')) sizes.push_back(parse_size(size, word));
  if (sizes.size() < 2 || parts.size() > 2)
    throw UsageError(
        fmt::format("model '{}': expected mlp:INPUT-...-OUTPUT[:ACTIVATION] with two sizes at least, as in "
                    "mlp:64-32-10:tanh",
                    shown(word)));
  return mlp(sizes, parts.size() == 2 ? parse_hidden(parts[1], word) : Activation::tanh);
}

/// "lstm:28x28-128-10": the sample's shape, the hidden sizes of the layers, the outputs of a linear head.
ModelSpec parse_recurrent(const std::string& type, const std::string& word) {
  const auto sizes = split_text(std::string_view(word).substr(type.size() + 1), '-');
  const auto sample = split_text(sizes[0], 'x');
  if (sizes.size() < 3 || sample.size() != 2)
    throw UsageError(
        fmt::format("model '{}': expected {}:STEPSxFEATURES-HIDDEN-...-OUTPUT with one hidden size at "
                    "least, as in {}:28x28-128-10",
                    shown(word), type, type));
  std::vector<Index> hidden;
  for (std::size_t i = 1; i + 1 < sizes.size(); ++i) hidden.push_back(parse_size(sizes[i], word));
  return recurrent(type, {parse_size(sample[0], word), parse_size(sample[1], word)}, hidden,
                   parse_size(sizes.back(), word));
}

/// "resnet20:3x32x32": channels, height and width of the images.
ModelSpec parse_resnet20(const std::string& word) {
  const auto image = split_text(std::string_view(word).substr(kResnet.size()), 'x');
  if (image.size() != 3)
    throw UsageError(
        fmt::format("model '{}': expected resnet20:CHANNELSxHEIGHTxWIDTH, as in resnet20:3x32x32", shown(word)));
  return resnet20_of({parse_size(image[0], word), parse_size(image[1], word), parse_size(image[2], word)});
}

ModelSpec read_model(const std::string& path) { return parse_model_toml(read_text(path), path); }

}  // namespace

ModelSpec parse_model(const std::string& word_or_path) {
  const std::string& word = word_or_path;
  if (word.starts_with(kMlp)) {
    ModelSpec model = parse_mlp(word);
    check_model(model);
    return model;
  }
  if (word.starts_with(kResnet)) {
    ModelSpec model = parse_resnet20(word);
    check_model(model);
    return model;
  }
  for (const char* type : {"rnn", "lstm", "gru"})
    if (word.starts_with(std::string(type) + ":")) {
      ModelSpec model = parse_recurrent(type, word);
      check_model(model);
      return model;
    }
  for (const NamedModel& m : named_models())
    if (m.name == word) return m.make();
  if (word.ends_with(".toml") || word.find('/') != word.npos) return read_model(word);
  throw UsageError(fmt::format(
      "model '{}'{}: expected mlp:INPUT-...-OUTPUT[:ACTIVATION], lstm:STEPSxFEATURES-HIDDEN-...-OUTPUT (rnn, "
      "gru), resnet20:CxHxW, {} or the path of a TOML file",
      shown(word), did_you_mean(word, model_names()), fmt::join(model_names(), ", ")));
}

}  // namespace hso
