// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "data/checks.hpp"
#include "data/csv.hpp"
#include "hsogpu/data.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"

namespace hso {

namespace {

constexpr double kLargestLabel = 0x1p31;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view trim(std::string_view field) {
  const std::size_t begin = field.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return field.substr(begin, field.find_last_not_of(" \t") - begin + 1);
}

/// Cuts the part before the next separator off the front of `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

class CsvReader {
 public:
  CsvReader(const std::string& path, const CsvOptions& options) : path_(path), options_(options) { data_.name = path; }

  Dataset read(std::string_view text) {
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    bool ended = false;
    while (!text.empty()) {
      std::string_view line = next_part(text, '\n');
      ++line_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (options_.header && line_ == 1) continue;
      const bool blank = trim(line).empty();
      if (ended && !blank) fail("found a line after an empty one, expected the end of the file");
      ended = blank;
      if (!blank) read_line(line);
    }
    return finish();
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}: line {}: {}", path_, line_, message));
  }

  void read_line(std::string_view line) {
    row_.clear();
    // A separator at the end of the line is followed by one more, empty, field.
    for (bool more = true; more;) {
      const std::size_t before = line.size();
      const std::string_view field = next_part(line, options_.separator);
      row_.push_back(parse_number(field));
      more = before > field.size();
    }
    if (columns_ == 0) fix_columns();
    if (row_.size() != columns_) fail(fmt::format("found {} fields, expected {} as above", row_.size(), columns_));
    store_row();
  }

  double parse_number(std::string_view raw) const {
    std::string_view field = trim(raw);
    if (field.starts_with('+') && !field.starts_with("+-")) field.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error == std::errc::result_out_of_range)
      fail(fmt::format("field {}: found '{}', expected a number that fits a double", row_.size() + 1, trim(raw)));
    if (error != std::errc{} || end != field.data() + field.size() || !std::isfinite(value))
      fail(fmt::format("field {}: found '{}', expected a finite number{}", row_.size() + 1, trim(raw),
                       line_ == 1 ? " (a header line has to be announced)" : ""));
    return value;
  }

  void fix_columns() {
    columns_ = row_.size();
    const auto count = static_cast<Index>(columns_);
    if (count < 2) fail(fmt::format("found {} field, expected at least one feature and a label", count));
    const Index column = options_.label_column < 0 ? count + options_.label_column : options_.label_column;
    if (column < 0 || column >= count)
      fail(fmt::format("found {} fields, expected the label in column {}", count, options_.label_column));
    label_ = static_cast<std::size_t>(column);
  }

  void store_row() {
    const double label = row_[label_];
    if (label < 0 || label != std::floor(label) || label > kLargestLabel)
      fail(fmt::format("field {}: found the label {}, expected a whole number from 0", label_ + 1, label));
    const auto at = row_.begin() + static_cast<std::ptrdiff_t>(label_);
    data_.inputs.insert(data_.inputs.end(), row_.begin(), at);
    data_.inputs.insert(data_.inputs.end(), at + 1, row_.end());
    data_.targets.push_back(label);
  }

  Dataset finish() {
    data_.size = static_cast<Index>(data_.targets.size());
    if (data_.size == 0)
      throw InputError(fmt::format("{}: found no rows in {} lines, expected one sample a line", path_, line_));
    data_.input_shape = Shape{static_cast<Index>(columns_) - 1};
    data_.classes = count_classes(path_, data_.targets);
    return std::move(data_);
  }

  const std::string& path_;
  CsvOptions options_;
  Index line_ = 0;
  std::size_t columns_ = 0, label_ = 0;
  std::vector<double> row_;
  Dataset data_;
};

/// Not "nan" or "inf": those are numbers that the reader refuses.
bool is_word(std::string_view field) {
  if (field.empty() || !(std::isalpha(static_cast<unsigned char>(field[0])) || field[0] == '_' || field[0] == '"'))
    return false;
  double ignored = 0;
  return std::from_chars(field.data(), field.data() + field.size(), ignored).ec != std::errc{};
}

bool starts_with_header(std::string_view text, char separator) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string_view line = next_part(text, '\n');
  if (line.ends_with('\r')) line.remove_suffix(1);
  bool words = !line.empty();
  while (words && !line.empty()) words = is_word(trim(next_part(line, separator)));
  return words;
}

}  // namespace

Dataset read_csv_with_or_without_header(const std::string& path) {
  const std::string text = read_text(path);
  CsvOptions options;
  options.header = starts_with_header(text, options.separator);
  return CsvReader(path, options).read(text);
}

Dataset read_csv(const std::string& path, const CsvOptions& options) {
  return CsvReader(path, options).read(read_text(path));
}

}  // namespace hso
