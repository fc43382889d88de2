// SPDX-License-Identifier: Apache-2.0
#include "io/json_text.hpp"

#include <fmt/format.h>

#include <set>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso {

nlohmann::json parse_json_text(std::string_view text, const std::string& where) {
  using Json = nlohmann::json;
  using Event = Json::parse_event_t;
  std::set<std::string> seen;
  const auto check = [&](int depth, Event event, Json& parsed) {
    if ((event == Event::object_start || event == Event::array_start) && depth >= kDeepestJson)
      throw InputError(
          fmt::format("{}: lists and objects are nested more than {} deep, expected no more", where, kDeepestJson));
    if (event == Event::key && depth == 1 && !seen.insert(parsed.get<std::string>()).second)
      throw InputError(fmt::format("{}: the key '{}' is there twice", where, shown(parsed.get<std::string>())));
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& e) {
    throw InputError(fmt::format("{}: not JSON: {}", where, shown(e.what(), 300)));
  }
}

}  // namespace hso
