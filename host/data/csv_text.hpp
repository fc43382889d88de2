// SPDX-License-Identifier: Apache-2.0
//
// The text of a CSV file as lines of fields (RFC 4180, with blank lines, comment lines and blanks around fields).
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

/// Digits alone.
bool is_whole(std::string_view text);

struct CsvField {
  std::string_view text;  ///< without blanks around it, or what stood between the quotes
  bool quoted = false;
};

/// Reads a text from front to back. Fields live until the next line is read.
class CsvLines {
 public:
  /// `path` is for messages. A ' ' as separator stands for any number of them.
  CsvLines(const std::string& path, std::string_view text, char separator);
  /// The next line that is neither blank nor a comment, with line breaks inside quotes in it; false at the end.
  /// InputError names the line of a quote that does not end, or that something follows.
  bool next(std::vector<CsvField>& fields);
  Index line() const { return line_; }  ///< where the fields begin, from 1
  Index comments() const { return comments_; }
  std::string_view last_comment() const { return last_comment_; }  ///< without its '#'

 private:
  bool at_end() const { return position_ == text_.size(); }
  char at() const { return text_[position_]; }
  bool ends_line() const { return at_end() || at() == '\n'; }
  void skip_blanks();
  bool skip_line_without_fields();
  CsvField plain_field();
  CsvField quoted_field();

  const std::string& path_;
  std::string_view text_;
  char separator_;
  std::size_t position_ = 0;
  Index line_ = 0, next_line_ = 1;
  Index comments_ = 0;
  std::string_view last_comment_;
  std::deque<std::string> unescaped_;  ///< quoted fields with quotes in them
};

/// The field as a number: a finite decimal, with a '+' or without. False for anything else, "nan" and "inf" included.
bool parse_csv_number(std::string_view field, double& value);

/// "1,5": a number of which the decimal point is a comma. Such numbers are not read; messages say so.
bool is_decimal_comma(std::string_view field);

/// Of tab, ';', ',', '|' and ' ' the one that cuts the first lines into equally many fields, of which most are numbers
/// (with decimal commas too, so that it is the reader that refuses them).
char detect_separator(const std::string& path, std::string_view text);
/// "','", "tabs"
std::string separator_name(char separator);

}  // namespace hso
