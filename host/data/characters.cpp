// SPDX-License-Identifier: Apache-2.0
//
// A text as samples of a language model: windows of characters, each with the character behind it as its class.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "data/gzip.hpp"
#include "data/text_encoding.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "io/shown_text.hpp"
#include "io/utf8.hpp"

namespace hso {
namespace {

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    length = utf8_length(text, at);
    out.push_back(text.substr(at, length));
  }
  return out;
}

/// The sorted characters of the text, or those of the training data.
std::vector<std::string> vocabulary_of(const std::string& path, const std::vector<std::string_view>& text,
                                       const DataOptions& options) {
  if (options.class_names && options.class_names->empty())
    throw InputError(fmt::format("{}: its classes are characters, expected numbers as in the training data", path));
  if (options.class_names) return *options.class_names;
  const std::set<std::string_view> sorted(text.begin(), text.end());
  return {sorted.begin(), sorted.end()};
}

std::vector<double> numbered(const std::string& path, const std::vector<std::string_view>& text,
                             const std::vector<std::string>& vocabulary) {
  std::unordered_map<std::string_view, double> number;
  for (const std::string& c : vocabulary) number.emplace(c, static_cast<double>(number.size()));
  std::vector<double> out;
  out.reserve(text.size());
  Index line = 1;
  for (const std::string_view c : text) {
    const auto at = number.find(c);
    if (at == number.end())
      throw InputError(fmt::format("{}:{}: found the character '{}', expected one of the {} of the training data", path,
                                   line, shown(c), vocabulary.size()));
    out.push_back(at->second);
    if (c == "\n") ++line;
  }
  return out;
}

}  // namespace

Dataset read_characters(const std::string& path, Index window, const DataOptions& options) {
  if (window < 1)
    throw UsageError(fmt::format(
        "{}: a text needs a model whose input are tokens, as with a first layer embedding or one_hot", path));
  Dataset data;
  const UnpackedText file = read_unpacked(path);
  const std::string converted = to_utf8(path, file.text, data.source.notes);
  const auto text = characters_of(converted);
  const auto characters = static_cast<Index>(text.size());
  if (characters <= window)
    throw InputError(fmt::format("{}: found {} characters, expected more than the {} that the model sees at a time",
                                 path, characters, window));
  const std::vector<std::string> vocabulary = vocabulary_of(path, text, options);
  const auto known = static_cast<Index>(vocabulary.size());
  if (options.outputs > 0 && known > options.outputs)
    throw InputError(fmt::format("{}: found {} different characters, expected at most {} as the model has {} outputs",
                                 path, known, options.outputs, options.outputs));
  const std::vector<double> tokens = numbered(path, text, vocabulary);
  data.name = path;
  data.size = (characters - 1) / window;
  data.input_shape = data.target_shape = Shape{window};
  data.inputs.assign(tokens.begin(), tokens.begin() + data.size * window);
  data.targets.assign(tokens.begin() + 1, tokens.begin() + 1 + data.size * window);
  data.classes = known;
  data.source.format = "text";
  data.source.detail = fmt::format("{}{} characters, {} different", file.compressed ? "gzip, " : "", characters, known);
  data.source.dtype = "characters";
  data.source.labels = "the next character";
  data.source.class_names = vocabulary;
  return data;
}

}  // namespace hso
