// SPDX-License-Identifier: Apache-2.0
//
// JSON from files that anybody may have written.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace hso {

/// Lists and objects within each other; no file of ours needs more than three.
inline constexpr int kDeepestJson = 32;

/// The value of a JSON text. InputError "<where>: ..." for what is none, for deeper nesting than kDeepestJson, and for
/// a key that is there twice in the outermost object: the parser would keep the last of them.
nlohmann::json parse_json_text(std::string_view text, const std::string& where);

}  // namespace hso
