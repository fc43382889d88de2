// SPDX-License-Identifier: Apache-2.0
#include "io/npy_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <vector>

#include "hsogpu/core/error.hpp"

namespace hso {

namespace {

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

/// Reads the few Python literals that the header is made of, left to right.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  NpyHeader parse() {
    expect('{');
    while (!accept('}')) {
      parse_entry();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (position_ != text_.size()) fail("the end of the header");
    return assemble();
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    std::string rest(text_.substr(position_, 20));
    std::replace_if(
        rest.begin(), rest.end(), [](char c) { return c < ' ' || c > '~'; }, '.');
    throw InputError(fmt::format("{}: .npy header, character {}: found {}, expected {}", path_, position_,
                                 rest.empty() ? "its end" : fmt::format("'{}'", rest), expected));
  }

  void skip_spaces() {
    while (position_ < text_.size() && is_one_of(text_[position_], " \t\r\n")) ++position_;
  }

  bool accept(char c) {
    skip_spaces();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}'", c));
  }

  bool accept_word(std::string_view word) {
    skip_spaces();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }

  std::string parse_string() {
    const char quote = accept('\'') ? '\'' : accept('"') ? '"' : '\0';
    if (quote == '\0') fail("a quoted string");
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) fail("a closing quote");
    const std::string out(text_.substr(position_, end - position_));
    position_ = end + 1;
    return out;
  }

  Index parse_extent() {
    skip_spaces();
    Index value = 0;
    const char* begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{} || value < 0) fail("an extent from 0");
    position_ += static_cast<std::size_t>(end - begin);
    accept('L');  // Python 2 wrote long integers so
    return value;
  }

  std::vector<Index> parse_tuple() {
    std::vector<Index> out;
    expect('(');
    while (!accept(')')) {
      out.push_back(parse_extent());
      if (accept(',')) continue;
      expect(')');
      break;
    }
    return out;
  }

  bool parse_bool() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    fail("True or False");
  }

  void parse_entry() {
    const std::string key = parse_string();
    expect(':');
    if (key == "descr" && !descr_)
      descr_ = parse_descr();
    else if (key == "fortran_order" && !fortran_order_)
      fortran_order_ = parse_bool();
    else if (key == "shape" && !shape_)
      shape_ = parse_tuple();
    else
      throw InputError(fmt::format(
          "{}: .npy header: found the key '{}', expected descr, fortran_order and shape once each", path_, key));
  }

  std::string parse_descr() {
    if (accept('[')) throw InputError(fmt::format("{}: found a structured type, expected one number type", path_));
    return parse_string();
  }

  NpyHeader assemble() const;

  const std::string& path_;
  std::string_view text_;
  std::size_t position_ = 0;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<Index>> shape_;
};

std::optional<ScalarType> scalar_type(std::string_view code) {
  using Kind = ScalarType::Kind;
  if (code == "b1") return ScalarType{Kind::boolean, 1};
  if (code.size() != 2 || !is_one_of(code[1], "1248")) return std::nullopt;
  const int bytes = code[1] - '0';
  if (code[0] == 'i') return ScalarType{Kind::signed_integer, bytes};
  if (code[0] == 'u') return ScalarType{Kind::unsigned_integer, bytes};
  if (code[0] == 'f' && bytes > 1) return ScalarType{Kind::floating, bytes};
  return std::nullopt;
}

NpyHeader HeaderParser::assemble() const {
  if (!descr_ || !fortran_order_ || !shape_)
    throw InputError(fmt::format("{}: .npy header: no key '{}', expected descr, fortran_order and shape", path_,
                                 !descr_           ? "descr"
                                 : !fortran_order_ ? "fortran_order"
                                                   : "shape"));
  const std::string_view descr = *descr_;
  const bool has_order = !descr.empty() && is_one_of(descr[0], "<>|=");
  const auto type = scalar_type(descr.substr(has_order ? 1 : 0));
  if (!type || (!has_order && type->bytes > 1) || (descr[0] == '|' && type->bytes > 1))
    throw InputError(fmt::format(
        "{}: found numbers of type '{}', expected f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 after <, > or =, or |b1",
        path_, descr));
  if (shape_->size() > Shape::kMaxRank)
    throw InputError(
        fmt::format("{}: found an array of rank {}, expected at most {}", path_, shape_->size(), Shape::kMaxRank));
  const bool big = descr[0] == '>' || (descr[0] == '=' && std::endian::native == std::endian::big);
  return {*type, big, *fortran_order_, Shape(Span<const Index>(*shape_))};
}

}  // namespace

NpyHeader parse_npy_header(const std::string& path, std::string_view text) {
  const std::size_t padding = text.find_last_not_of(" \n");
  return HeaderParser(path, text.substr(0, padding == std::string_view::npos ? 0 : padding + 1)).parse();
}

}  // namespace hso
