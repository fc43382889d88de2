// SPDX-License-Identifier: Apache-2.0
#include "support/xml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace hso::test {
namespace {

std::string fault(const std::string& what, std::size_t at) { return fmt::format("{} at {}", what, at); }
std::string quoted(const std::string& text) { return fmt::format("'{}'", text); }

/// No '<', and '&' only at the beginning of an entity.
bool is_character_data(const std::string& text) {
  for (std::size_t at = text.find('&'); at != std::string::npos; at = text.find('&', at + 1))
    if (text.compare(at, 5, "&amp;") != 0 && text.compare(at, 4, "&lt;") != 0 && text.compare(at, 4, "&gt;") != 0 &&
        text.compare(at, 6, "&quot;") != 0)
      return false;
  return text.find('<') == std::string::npos;
}

bool is_blank(const std::string& text) { return text.find_first_not_of(" \n") == std::string::npos; }

bool is_name(const std::string& text) {
  return !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-") ==
             std::string::npos;
}

/// What is wrong with ` name="value" name="value"`.
std::string attribute_fault(const std::string& text) {
  for (std::size_t at = 0; !is_blank(text.substr(at));) {
    const std::size_t name = text.find_first_not_of(" \n", at), equals = text.find("=\"", at);
    if (name == at || equals == std::string::npos) return quoted(text.substr(at));
    const std::size_t end = text.find('"', equals + 2);
    if (!is_name(text.substr(name, equals - name)) || end == std::string::npos) return quoted(text.substr(at));
    if (!is_character_data(text.substr(equals + 2, end - equals - 2)))
      return fmt::format("a value in {}", quoted(text.substr(at)));
    at = end + 1;
  }
  return {};
}

}  // namespace

std::string xml_fault(const std::string& text) {
  std::vector<std::string> open;
  bool root = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find('<', at), stop = std::min(begin, text.size());
    const std::string between = text.substr(at, stop - at);
    if (!is_character_data(between) || (open.empty() && !is_blank(between))) return fault(quoted(between), at);
    if (begin == std::string::npos) break;
    const std::size_t end = text.find('>', begin);
    if (end == std::string::npos) return fault("a tag without end", begin);
    std::string tag = text.substr(begin + 1, end - begin - 1);
    at = end + 1;
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return fault(quoted(tag), begin);
      open.pop_back();
      continue;
    }
    const bool closed = tag.ends_with('/');
    if (closed) tag.pop_back();
    const std::size_t name_end = std::min(tag.find_first_of(" \n"), tag.size());
    const std::string element = tag.substr(0, name_end);
    if (!is_name(element)) return fault(quoted(tag), begin);
    if (const std::string wrong = attribute_fault(tag.substr(name_end)); !wrong.empty()) return fault(wrong, begin);
    if (open.empty() && root) return fault("a second root", begin);
    root = true;
    if (!closed) open.push_back(element);
  }
  if (!open.empty()) return fmt::format("<{}> is not closed", open.back());
  return root ? "" : "no element";
}

}  // namespace hso::test
