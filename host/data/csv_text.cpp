// SPDX-License-Identifier: Apache-2.0
#include "data/csv_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "hsogpu/core/error.hpp"

namespace hso {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr int kLinesToDetect = 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

}  // namespace

bool is_whole(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_digit); }

CsvLines::CsvLines(const std::string& path, std::string_view text, char separator)
    : path_(path), text_(text), separator_(separator) {
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
}

void CsvLines::skip_blanks() {
  while (!at_end() && is_blank(at()) && (at() != separator_ || separator_ == ' ')) ++position_;
}

/// Blank or a comment.
bool CsvLines::skip_line_without_fields() {
  const std::size_t end = std::min(text_.find('\n', position_), text_.size());
  std::size_t first = position_;
  while (first < end && is_blank(text_[first])) ++first;
  if (first < end && text_[first] != '#') return false;
  if (first < end) {
    ++comments_;
    last_comment_ = text_.substr(first + 1, end - first - 1);
  }
  position_ = std::min(end + 1, text_.size());
  ++next_line_;
  return true;
}

CsvField CsvLines::plain_field() {
  const std::size_t begin = position_;
  while (!ends_line() && at() != separator_) ++position_;
  std::size_t end = position_;
  while (end > begin && is_blank(text_[end - 1])) --end;
  return {text_.substr(begin, end - begin), false};
}

CsvField CsvLines::quoted_field() {
  const auto fail = [&](const char* found) {
    throw InputError(
        fmt::format("{}: line {}: found {}, expected a separator after the closing quote", path_, line_, found));
  };
  const std::size_t begin = ++position_;
  std::string* copy = nullptr;
  for (std::size_t from = begin;; ++position_) {
    const std::size_t quote = text_.find('"', position_);
    if (quote == std::string_view::npos) fail("a quoted field that does not end");
    for (std::size_t i = position_; i < quote; ++i) next_line_ += text_[i] == '\n' ? 1 : 0;
    position_ = quote + 1;
    const bool doubled = !at_end() && at() == '"';
    if (doubled && copy == nullptr) copy = &unescaped_.emplace_back();
    if (copy != nullptr) copy->append(text_.substr(from, quote - from + (doubled ? 1 : 0)));
    if (doubled) {
      from = position_ + 1;
      continue;
    }
    skip_blanks();
    const bool stopped = ends_line() || at() == separator_ || (separator_ == ' ' && text_[position_ - 1] == ' ');
    if (!stopped) fail("text behind a quoted field");
    return {copy != nullptr ? std::string_view(*copy) : text_.substr(begin, quote - begin), true};
  }
}

bool CsvLines::next(std::vector<CsvField>& fields) {
  fields.clear();
  unescaped_.clear();
  while (!at_end() && skip_line_without_fields()) {
  }
  line_ = next_line_;
  if (at_end()) return false;
  for (;;) {
    skip_blanks();
    if (separator_ == ' ' && ends_line() && !fields.empty()) break;  // blanks at the end of the line
    fields.push_back(!ends_line() && at() == '"' ? quoted_field() : plain_field());
    if (ends_line()) break;
    if (at() == separator_) ++position_;
  }
  if (!at_end()) ++position_;
  ++next_line_;
  return true;
}

bool parse_csv_number(std::string_view field, double& value) {
  if (field.starts_with('+') && !field.starts_with("+-")) field.remove_prefix(1);
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc{} && end == field.data() + field.size() && std::isfinite(value);
}

bool is_decimal_comma(std::string_view field) {
  const std::size_t comma = field.find(',');
  if (comma == std::string_view::npos || comma == 0 || comma + 1 == field.size() || !is_digit(field[comma - 1]) ||
      !is_digit(field[comma + 1]))
    return false;
  std::string with_point(field);
  with_point[comma] = '.';
  double ignored = 0;
  return parse_csv_number(with_point, ignored);
}

char detect_separator(const std::string& path, std::string_view text) {
  using Score = std::pair<int, bool>;
  Score best{-1, false};
  char chosen = ',';
  for (const char candidate : {',', '\t', ';', '|', ' '}) {
    CsvLines lines(path, text, candidate);
    std::vector<CsvField> fields;
    std::size_t width = 0;
    bool equal = true;
    int numbers = 0;
    double ignored = 0;
    try {
      for (int i = 0; i < kLinesToDetect && lines.next(fields); ++i) {
        if (width == 0) width = fields.size();
        equal = equal && fields.size() == width;
        for (const CsvField& field : fields)
          numbers +=
              parse_csv_number(field.text, ignored) || (fields.size() > 1 && is_decimal_comma(field.text)) ? 1 : 0;
      }
    } catch (const InputError&) {
      equal = false;  // the quotes make no sense under it
    }
    const Score score{numbers, equal && width > 1};
    const bool unusual = candidate == '|' || candidate == ' ';
    // Between equals not the comma: it may be the decimal point of another language.
    if (score > best || (score == best && score.second && !unusual)) {
      best = score;
      chosen = candidate;
    }
  }
  return chosen;
}

std::string separator_name(char separator) {
  if (separator == '\t') return "tabs";
  return separator == ' ' ? "blanks" : fmt::format("'{}'", separator);
}

}  // namespace hso
