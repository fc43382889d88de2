// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "data/description.hpp"
#include "io/shown_text.hpp"

namespace hso {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kClassesShown = 12, kCharactersShown = 24;

/// A class by its name; characters that do not show as \\xNN.
std::string shown(const std::string& word) {
  return word.size() <= kCharactersShown ? hso::shown(word) : hso::shown(word.substr(0, kCharactersShown)) + "...";
}

/// "setosa 40, versicolor 39 and 2": behind "and" the test part, where there is one.
std::string counts_text(const DataDescription& d) {
  std::vector<std::string> words;
  for (std::size_t c = 0; c < std::min(d.counts.size(), kClassesShown); ++c) {
    const std::string test = d.test_rows > 0 ? fmt::format("+{}", d.test_counts[c]) : "";
    const std::string separator = d.source.class_names.empty() ? ": " : " ";
    words.push_back(
        fmt::format("{}{}{}{}", shown(class_name(d.source, static_cast<Index>(c))), separator, d.counts[c], test));
  }
  return fmt::format("{}{}", fmt::join(words, ", "), d.counts.size() > kClassesShown ? ", ..." : "");
}

std::string targets_text(const DataDescription& d) {
  if (d.reconstruct) return "the scaled inputs";
  if (d.classes > 0)
    return fmt::format("{}; {} class{} ({})", d.source.labels, d.classes, d.classes > 1 ? "es" : "", counts_text(d));
  return fmt::format("{}; values {} from {:.6g} to {:.6g}", d.source.labels, d.target_shape.to_string(),
                     d.targets.least, d.targets.most);
}

Json json_of(const ValueRange& range) { return Json::array({range.least, range.most}); }

std::vector<Index> extents(const Shape& shape) {
  std::vector<Index> out;
  for (int a = 0; a < shape.rank(); ++a) out.push_back(shape[a]);
  return out;
}

}  // namespace

std::string DataDescription::text() const {
  const std::string detail = source.detail.empty() ? "" : ", " + source.detail;
  const std::string test = test_rows > 0 ? fmt::format(" to train and {} to test", test_rows) : "";
  std::string out = fmt::format("data {}: {}{}\n", data, source.format.empty() ? "in memory" : source.format, detail);
  out += fmt::format("  rows     {}{}, inputs {} ({}) from {:.6g} to {:.6g}\n", rows, test, input_shape.to_string(),
                     source.dtype, inputs.least, inputs.most);
  out += fmt::format("  targets  {}\n", targets_text(*this));
  out +=
      fmt::format("  scaling  {}{}, inputs from {:.6g} to {:.6g}\n", scaling_name(scaling),
                  scaling == Scaling::none ? "" : fmt::format(" (fitted on {})", fitted_on), scaled.least, scaled.most);
  for (const std::string& note : source.notes) out += fmt::format("  note: {}\n", note);
  return out;
}

std::string DataDescription::json() const {
  Json out{{"source", data},
           {"format", source.format},
           {"detail", source.detail},
           {"rows", rows},
           {"test_rows", test_rows},
           {"input_shape", extents(input_shape)},
           {"dtype", source.dtype},
           {"range", json_of(inputs)},
           {"labels", reconstruct ? "the scaled inputs" : source.labels},
           {"classes", reconstruct ? 0 : classes}};
  if (classes > 0 && !reconstruct) {
    out["class_counts"] = counts;
    out["test_class_counts"] = test_counts;
    if (!source.class_names.empty()) out["class_names"] = source.class_names;
  } else if (!reconstruct) {
    out["target_shape"] = extents(target_shape);
    out["target_range"] = json_of(targets);
  }
  if (!source.column_names.empty()) out["column_names"] = source.column_names;
  out["scaling"] = scaling_name(scaling);
  out["scaling_fitted_on"] = scaling == Scaling::none ? Json(nullptr) : Json(fitted_on);
  out["scaled_range"] = json_of(scaled);
  out["notes"] = source.notes;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hso
