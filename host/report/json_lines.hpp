// SPDX-License-Identifier: Apache-2.0
//
// Files of one JSON object a line, as a running or killed process leaves them.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hso::report {

using Json = nlohmann::ordered_json;

/// The object that the text is, keys in their order. InputError "<where>: ..." for anything else.
Json parse_object(std::string_view text, const std::string& where);

/// Calls `take` with every object and "<path>:<line>". InputError for a line that is none, but the last one when it has
/// no line feed: then false, and the others are taken.
bool for_each_line(const std::string& path,
                   const std::function<void(const Json& object, const std::string& where)>& take);

/// The number under this key; NaN for null and where there is none. InputError "<where>: ..." for anything else.
double number_at(const Json& object, const std::string& key, const std::string& where);
/// The number under this key, which must be there and finite.
double required_number(const Json& object, const std::string& key, const std::string& where);

}  // namespace hso::report
