// SPDX-License-Identifier: Apache-2.0
#include "data/csv_columns.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"

namespace hso {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool is_number(const std::string& text) {
  double ignored = 0;
  return parse_csv_number(text, ignored);
}

/// Not "nan" or "inf": those are numbers that the reader refuses.
bool is_word(const std::string& text) {
  const auto first = static_cast<unsigned char>(text.empty() ? '0' : text[0]);
  if (!(std::isalpha(first) || first == '_' || first >= 0x80)) return false;
  double ignored = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), ignored).ec == std::errc{}) return false;
  const std::string word = lower(text);
  return word != "na" && word != "n/a" && word != "null" && word != "none" && word != "missing";
}

std::vector<Index> named(const std::vector<std::string>& names, const std::string& name, bool any_case) {
  std::vector<Index> out;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (any_case ? lower(names[i]) == lower(name) : names[i] == name) out.push_back(static_cast<Index>(i));
  return out;
}

LabelColumn by_number(const std::string& path, Index columns, const std::string& label, Index number) {
  const Index column = number < 0 ? columns + number : number;
  if (column < 0 || column >= columns)
    throw InputError(fmt::format("{}: found {} columns, expected the label in column {}", path, columns, label));
  return {column, "as asked"};
}

LabelColumn by_name(const std::string& path, const std::vector<std::string>& names, const std::string& label) {
  if (names.empty())
    throw InputError(fmt::format(
        "{}: found no line that names the columns, expected one with the label '{}' (or its number)", path, label));
  std::vector<Index> found = named(names, label, false);
  if (found.empty()) found = named(names, label, true);
  if (found.size() == 1) return {found.front(), "as asked"};
  throw InputError(fmt::format("{}: found {} columns named '{}'{}, expected one of {}", path,
                               found.empty() ? "no" : fmt::to_string(found.size()), label,
                               found.empty() ? did_you_mean(label, names) : "", listed(names)));
}

LabelColumn by_default(const std::vector<std::string>& names, Index columns) {
  std::vector<Index> found;
  for (const char* name : {"label", "class", "target", "y"})
    for (const Index i : named(names, name, true)) found.push_back(i);
  if (found.empty()) return {columns - 1, "the last"};
  LabelColumn out{found.front(), "by its name"};
  if (found.size() > 1)
    out.note = fmt::format("columns {} could all hold the label: column {} was taken, the others are inputs",
                           fmt::join(found, ", "), found.front());
  return out;
}

}  // namespace

CsvLine::CsvLine(const std::vector<CsvField>& fields, Index line) : number(line) {
  for (const CsvField& field : fields) {
    text.emplace_back(field.text);
    quoted.push_back(field.quoted);
  }
}

std::vector<CsvField> CsvLine::fields() const {
  std::vector<CsvField> out;
  for (std::size_t i = 0; i < text.size(); ++i) out.push_back({text[i], quoted[i]});
  return out;
}

bool names_columns(const CsvLine& first, const CsvLine& second) {
  std::size_t words = 0;
  bool rest_whole = true, over_number = false, quotes_over_none = !first.text.empty() && !second.text.empty();
  for (std::size_t i = 0; i < first.text.size(); ++i) {
    const bool number_below = i < second.text.size() && is_number(second.text[i]);
    const bool word = is_word(first.text[i]) || (i == 0 && first.text[0].empty());
    words += word ? 1 : 0;
    rest_whole = rest_whole && (word || is_whole(first.text[i]));
    over_number = over_number || (is_word(first.text[i]) && number_below);
    const bool quoted_below = i < second.text.size() && second.quoted[i] && number_below;
    quotes_over_none = quotes_over_none && first.quoted[i] && !quoted_below;
  }
  if (words == first.text.size()) return words > 1 || !first.text[0].empty();
  return (rest_whole && over_number) || quotes_over_none;
}

LabelColumn find_label_column(const std::string& path, const std::vector<std::string>& names, Index columns,
                              const std::string& label) {
  if (columns < 2)
    throw InputError(fmt::format("{}: found {} column, expected at least one feature and a label", path, columns));
  if (label.empty()) return by_default(names, columns);
  Index number = 0;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  const bool whole = error == std::errc{} && end == label.data() + label.size();
  return whole ? by_number(path, columns, label, number) : by_name(path, names, label);
}

}  // namespace hso
