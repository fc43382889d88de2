// SPDX-License-Identifier: Apache-2.0
//
// TOML to ModelSpec. Keys and values are judged here, where their lines are known; shapes by build_layers.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "hsogpu/core/error.hpp"
#include "io/suggest.hpp"
#include "nn/layer_type.hpp"
#include "nn/network_layers.hpp"

namespace hso {
namespace {

std::string type_of(const toml::node& node) {
  std::ostringstream text;
  text << node.type();
  return text.str();
}

class ModelReader {
 public:
  explicit ModelReader(const std::string& source) : source_(source) {}

  ModelSpec model(const toml::table& root) {
    for (const auto& [key, value] : root) check_key(key, {"name", "input", "layer"}, "the model");
    ModelSpec model{name(root), input(root), {}};
    const toml::node* layers = root.get("layer");
    if (layers == nullptr) fail({}, "no layers, expected [[layer]] tables");
    if (!layers->is_array_of_tables())
      fail(layers->source(), "layer is no list of tables, expected [[layer]] for each");
    for (const toml::node& entry : *layers->as_array()) {
      prefix_ = fmt::format("layer {}: ", model.layers.size());
      model.layers.push_back(layer(*entry.as_table()));
    }
    return model;
  }

  [[noreturn]] void fail(const toml::source_region& region, const std::string& message) const {
    throw InputError(fmt::format("{}: {}{}", place(region), prefix_, message));
  }

 private:
  std::string place(const toml::source_region& region) const {
    return region.begin.line == 0 ? source_ : fmt::format("{}:{}", source_, region.begin.line);
  }

  void check_key(const toml::key& key, const std::vector<std::string>& known, const std::string& owner) const {
    const std::string word(key.str());
    if (std::find(known.begin(), known.end(), word) != known.end()) return;
    fail(key.source(), fmt::format("unknown key '{}' of {}{}, expected one of {}", word, owner,
                                   did_you_mean(word, known), fmt::join(known, ", ")));
  }

  [[noreturn]] void wrong_type(const toml::node& node, const std::string& key, const char* expected) const {
    fail(node.source(), fmt::format("{} is of type {}, expected {}", key, type_of(node), expected));
  }

  std::string name(const toml::table& root) const {
    const toml::node* node = root.get("name");
    if (node == nullptr) return std::filesystem::path(source_).stem().string();
    std::string value;
    read(*node, "name", value);
    return value;
  }

  Shape input(const toml::table& root) const {
    const toml::node* node = root.get("input");
    if (node == nullptr) fail({}, "input is missing, expected input = [features] or [C, H, W]");
    std::vector<Index> extents;
    read(*node, "input", extents);
    const bool positive = std::all_of(extents.begin(), extents.end(), [](Index e) { return e > 0 && e <= INT32_MAX; });
    if (extents.empty() || extents.size() >= Shape::kMaxRank || !positive)
      fail(node->source(), fmt::format("input = [{}], expected [features] or [C, H, W], each at least 1 and below 2^31",
                                       fmt::join(extents, ", ")));
    return Shape(Span<const Index>(extents));
  }

  LayerSpec layer(const toml::table& table) const {
    LayerSpec spec;
    spec.where.line = place(table.source());
    const LayerType& type = read_type(table, spec);
    std::vector<std::string> keys{"type", "name"};
    for (const LayerOption& option : type.options) keys.push_back(option.key);
    for (const auto& [key, value] : table) check_key(key, keys, type.type);
    if (const toml::node* node = table.get("name")) {
      read(*node, "name", spec.name);
      if (const std::string problem = name_problem(spec.name); !problem.empty()) fail(node->source(), problem);
    }
    for (const LayerOption& option : type.options) read_option(table, option, spec);
    return spec;
  }

  const LayerType& read_type(const toml::table& table, LayerSpec& spec) const {
    const toml::node* node = table.get("type");
    if (node == nullptr) fail(table.source(), "type is missing" + expected_types(""));
    read(*node, "type", spec.type);
    const LayerType* type = find_layer_type(spec.type);
    if (type == nullptr) fail(node->source(), fmt::format("unknown type '{}'{}", spec.type, expected_types(spec.type)));
    return *type;
  }

  void read_option(const toml::table& table, const LayerOption& option, LayerSpec& spec) const {
    const toml::node* node = table.get(option.key);
    if (node == nullptr) {
      if (option.required) fail(table.source(), fmt::format("{}: {} is missing", spec.type, option.key));
      return;
    }
    std::visit([&](auto field) { read(*node, option.key, spec.*field); }, option.field);
    const std::string problem = option_problem(spec, option);
    if (!problem.empty()) fail(node->source(), fmt::format("{}: {}", spec.type, problem));
  }

  void read(const toml::node& node, const std::string& key, std::string& out) const {
    if (!node.is_string()) wrong_type(node, key, "a string");
    out = *node.value<std::string>();
  }
  void read(const toml::node& node, const std::string& key, bool& out) const {
    if (!node.is_boolean()) wrong_type(node, key, "true or false");
    out = *node.value<bool>();
  }
  void read(const toml::node& node, const std::string& key, double& out) const {
    if (!node.is_number()) wrong_type(node, key, "a number");
    out = *node.value<double>();
  }
  void read(const toml::node& node, const std::string& key, Index& out) const {
    if (!node.is_integer()) wrong_type(node, key, "an integer");
    out = *node.value<Index>();
  }
  void read(const toml::node& node, const std::string& key, Pair& out) const {
    std::vector<Index> list;
    read(node, key, list);
    if (list.empty() || list.size() > 2)
      fail(node.source(), fmt::format("{} has {} numbers, expected one integer or a pair", key, list.size()));
    out = {list.front(), list.back()};
  }
  /// One integer counts as a list of one.
  void read(const toml::node& node, const std::string& key, std::vector<Index>& out) const {
    out.assign(1, 0);
    const toml::array* array = node.as_array();
    if (array == nullptr) return read(node, key, out[0]);
    out.assign(array->size(), 0);
    for (std::size_t i = 0; i < out.size(); ++i) read(*array->get(i), key, out[i]);
  }

  std::string source_, prefix_;
};

}  // namespace

ModelSpec parse_model_toml(std::string_view text, const std::string& source) {
  ModelReader reader(source);
  try {
    ModelSpec model = reader.model(toml::parse(text, source));
    check_model(model);
    return model;
  } catch (const toml::parse_error& e) {
    reader.fail(e.source(), std::string(e.description()));
  }
}

}  // namespace hso
