// SPDX-License-Identifier: Apache-2.0
#include "io/shown_text.hpp"

#include <fmt/format.h>

#include "io/utf8.hpp"

namespace hso {
namespace {

/// Bytes of the character that begins here and can be shown; 0: none does.
std::size_t character_at(std::string_view text, std::size_t at) {
  const std::size_t length = utf8_length(text, at);
  // Two bytes c2 80 to c2 9f are control characters too.
  const bool control = length == 2 && text[at] == '\xc2' && static_cast<unsigned char>(text[at + 1]) < 0xa0;
  return control ? 0 : length;
}

/// Appends the character at `at` and steps over it.
void append(std::string& out, std::string_view text, std::size_t& at, bool line_feeds) {
  const auto byte = static_cast<unsigned char>(text[at]);
  const bool control = (byte < 0x20 || byte == 0x7f) && !(line_feeds && byte == '\n');
  const std::size_t length = control ? 0 : character_at(text, at);
  if (length == 0)
    out += fmt::format("\\x{:02x}", byte);
  else
    out += text.substr(at, length);
  at += length == 0 ? 1 : length;
}

}  // namespace

std::string shown(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t count = 0; at < text.size() && count < most; ++count) append(out, text, at, false);
  if (at < text.size()) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

std::string listed(const std::vector<std::string>& words, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < words.size() && i < most; ++i) out += (i > 0 ? ", " : "") + shown(words[i], 40);
  return out + (words.size() > most ? ", ..." : "");
}

std::string shown_message(std::string_view message, std::size_t most) {
  std::string out;
  std::size_t at = 0;
  while (at < message.size()) {
    if (message.size() > most && at >= most / 2 && at < message.size() - most / 2) {
      out += " ... ";
      at = message.size() - most / 2;
    }
    append(out, message, at, true);
  }
  return out;
}

}  // namespace hso
