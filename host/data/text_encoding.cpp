// SPDX-License-Identifier: Apache-2.0
#include "data/text_encoding.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "io/utf8.hpp"

namespace hso {
namespace {

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool is_control(char c) { return !is_ascii(c) && static_cast<unsigned char>(c) < 0xa0; }

/// Characters beyond ASCII that are UTF-8.
bool has_utf8(const std::string& text) {
  for (std::size_t at = 0; at < text.size(); ++at)
    if (!is_ascii(text[at]) && utf8_length(text, at) > 0) return true;
  return false;
}

std::string from_latin1(const std::string& text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) out += static_cast<char>(0xc0 | byte >> 6);
    out += static_cast<char>(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
  }
  return out;
}

}  // namespace

std::string to_utf8(const std::string& path, std::string text, std::vector<std::string>& notes) {
  const std::size_t bad = find_no_utf8(text);
  if (bad == text.size()) return text;
  const auto line_of = [&](std::size_t at) {
    return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  };
  const auto fail = [&](std::size_t at, const char* why) {
    throw InputError(fmt::format("{}: line {}: found the byte 0x{:02x}, {}, expected text in UTF-8 or Latin-1", path,
                                 line_of(at), static_cast<unsigned char>(text[at]), why));
  };
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) fail(0, "with which UTF-16 begins");
  if (has_utf8(text)) fail(bad, "which is no UTF-8 as the file is elsewhere");
  const auto control = std::find_if(text.begin(), text.end(), is_control);
  if (control != text.end())
    fail(static_cast<std::size_t>(control - text.begin()), "which is neither UTF-8 nor a letter in Latin-1");
  notes.push_back(fmt::format("line {} is not UTF-8: the file was read as Latin-1 (ISO 8859-1)", line_of(bad)));
  return from_latin1(text);
}

}  // namespace hso
