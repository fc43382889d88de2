// SPDX-License-Identifier: Apache-2.0
//
// Which bytes are UTF-8 (RFC 3629): JSON and TOML hold nothing else.
#pragma once

#include <cstddef>
#include <string_view>

namespace hso {

/// Bytes of the character that begins at `at`; 0: none does.
std::size_t utf8_length(std::string_view text, std::size_t at);

/// Where the first byte stands that is no part of a character; the text's size when all are.
std::size_t find_no_utf8(std::string_view text);
inline bool is_utf8(std::string_view text) { return find_no_utf8(text) == text.size(); }

}  // namespace hso
