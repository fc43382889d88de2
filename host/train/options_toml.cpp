// SPDX-License-Identifier: Apache-2.0
//
// config.toml: the fields of the table at the top, then [optimizer] with its name and settings.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <sstream>

#include "hsogpu/core/error.hpp"
#include "io/suggest.hpp"
#include "io/text_parts.hpp"
#include "nn/layer_options.hpp"
#include "train/fields.hpp"
#include "train/options_toml.hpp"

namespace hso {
namespace {

/// Numbers and booleans as TOML writes them ("1." and ".5" are none), all else as a string.
std::string toml_value(const std::string& text) {
  if (const auto whole = number_in<Index>(text)) return fmt::format("{}", *whole);
  if (const auto number = number_in<double>(text)) return fmt::format("{}", *number);
  return text == "true" || text == "false" ? text : toml_string(text);
}

bool is_word(const TrainField& field) {
  return std::visit(
      [](auto member) {
        using Value = std::remove_reference_t<decltype(std::declval<TrainOptions&>().*member)>;
        return !std::is_arithmetic_v<Value>;
      },
      field.member);
}

bool is_list(const TrainField& field) {
  return std::holds_alternative<std::vector<std::string> TrainOptions::*>(field.member);
}

class OptionsReader {
 public:
  OptionsReader(TrainOptions& options, const std::string& source) : options_(options), source_(source) {}

  void read(const toml::table& root) {
    std::vector<std::string> known;
    for (const TrainField& field : train_fields()) known.push_back(field.key);
    // The name first: settings are those of that optimizer, whatever the order in the file.
    if (const toml::node* node = root.get("optimizer")) read_optimizer(*node);
    for (const auto& [key, node] : root) {
      const TrainField* field = find_train_field(std::string(key.str()));
      if (field == nullptr)
        throw InputError(fmt::format("{}: unknown key '{}'{}, expected one of {}", place(key.source()), key.str(),
                                     did_you_mean(key.str(), known), fmt::join(known, ", ")));
      if (field->key != "optimizer") set(*field, node);
    }
  }

  std::string place(const toml::source_region& region) const {
    return region.begin.line == 0 ? source_ : fmt::format("{}:{}", source_, region.begin.line);
  }

 private:
  /// What `f` complains about is a fault of the file.
  template <class F>
  void of_file(const F& f) const {
    try {
      f();
    } catch (const UsageError& e) {
      throw InputError(e.what());
    }
  }

  std::string origin(const toml::node& node, const std::string& key) const {
    return fmt::format("{}: {}", place(node.source()), key);
  }

  void set(const TrainField& field, const toml::node& node) const {
    const std::string where = origin(node, field.key);
    if (is_list(field)) return set_list(field, node, where);
    if (node.is_string() != is_word(field))
      throw InputError(fmt::format("{}: found {}, expected {}", where, type_of(node),
                                   is_word(field) ? "a string" : "a number or boolean"));
    of_file([&] { set_field(options_, field, text_of(node, field.key), where); });
  }

  void set_list(const TrainField& field, const toml::node& node, const std::string& where) const {
    const toml::array* array = node.as_array();
    std::vector<std::string> words;
    for (std::size_t i = 0; array != nullptr && i < array->size(); ++i)
      if (const auto word = (*array)[i].value<std::string>(); word && (*array)[i].is_string()) words.push_back(*word);
    if (array == nullptr || words.size() != array->size())
      throw InputError(fmt::format("{}: found {}, expected a list of strings", where, type_of(node)));
    of_file([&] { set_field(options_, field, fmt::format("{}", fmt::join(words, ",")), where); });
  }

  void read_optimizer(const toml::node& node) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) return set(*find_train_field("optimizer"), node);
    if (const toml::node* name = table->get("name")) set(*find_train_field("optimizer"), *name);
    for (const auto& [key, value] : *table) {
      const std::string option(key.str());
      if (option == "name") continue;
      of_file([&] { set_optimizer_option(options_, option, text_of(value, option), place(value.source())); });
    }
  }

  std::string text_of(const toml::node& node, const std::string& key) const {
    if (node.is_string()) return *node.value<std::string>();
    if (node.is_integer()) return fmt::format("{}", *node.value<Index>());
    if (node.is_boolean()) return *node.value<bool>() ? "true" : "false";
    if (node.is_floating_point()) return fmt::format("{}", *node.value<double>());
    throw InputError(
        fmt::format("{}: found {}, expected a string, a number or a boolean", origin(node, key), type_of(node)));
  }

  static std::string type_of(const toml::node& node) {
    std::ostringstream text;
    text << node.type();
    return "a value of type " + text.str();
  }

  TrainOptions& options_;
  std::string source_;
};

}  // namespace

std::vector<std::string> apply_toml(TrainOptions& options, std::string_view text, const std::string& source) {
  OptionsReader reader(options, source);
  try {
    const toml::table root = toml::parse(text, source);
    reader.read(root);
    std::vector<std::string> keys;
    for (const auto& [key, node] : root) keys.emplace_back(key.str());
    return keys;
  } catch (const toml::parse_error& e) {
    throw InputError(fmt::format("{}: {}", reader.place(e.source()), e.description()));
  }
}

TrainOptions parse_train_options(std::string_view text, const std::string& source) {
  TrainOptions options;
  apply_toml(options, text, source);
  return options;
}

namespace {

std::string toml_text(const TrainOptions& options, const TrainField& field) {
  if (const auto* member = std::get_if<std::vector<std::string> TrainOptions::*>(&field.member)) {
    std::vector<std::string> quoted;
    for (const std::string& word : options.**member) quoted.push_back(toml_string(word));
    return fmt::format("[{}]", fmt::join(quoted, ", "));
  }
  const std::string value = field_text(options, field);
  return is_word(field) ? toml_string(value) : value;
}

}  // namespace

std::string to_toml(const TrainOptions& options) {
  std::string out;
  for (const TrainField& field : train_fields()) {
    if (field.optional && field_text(options, field).empty()) continue;
    if (field.key != "optimizer") out += fmt::format("{} = {}\n", field.key, toml_text(options, field));
  }
  out += fmt::format("\n[optimizer]\nname = {}\n", toml_string(options.optimizer));
  for (const auto& [name, value] : options.optimizer_settings) out += fmt::format("{} = {}\n", name, toml_value(value));
  return out;
}

}  // namespace hso
