// SPDX-License-Identifier: Apache-2.0
#include "report/json_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/json_text.hpp"
#include "io/shown_text.hpp"

namespace hso::report {

Json parse_object(std::string_view text, const std::string& where) {
  if (!parse_json_text(text, where).is_object())  // checks depth and keys; it does not keep their order
    throw InputError(fmt::format("{}: found '{}', expected a JSON object", where, shown(text, 40)));
  return Json::parse(text);
}

bool for_each_line(const std::string& path, const std::function<void(const Json&, const std::string&)>& take) {
  const std::string text = read_text(path);
  std::size_t number = 1;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin), where = fmt::format("{}:{}", path, number);
    begin = end + 1;
    Json object;
    try {
      object = parse_object(line, where);
    } catch (const InputError&) {
      if (end == text.size()) return false;
      throw;
    }
    take(object, where);
  }
  return true;
}

double number_at(const Json& object, const std::string& key, const std::string& where) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return NAN;
  if (at->is_boolean()) return at->get<bool>() ? 1 : 0;
  if (!at->is_number())
    throw InputError(fmt::format("{}: {}: found {}, expected a number or null", where, key, shown(at->dump(), 40)));
  return at->get<double>();
}

double required_number(const Json& object, const std::string& key, const std::string& where) {
  const double value = number_at(object, key, where);
  if (!std::isfinite(value)) throw InputError(fmt::format("{}: {} is missing, expected a number", where, key));
  return value;
}

}  // namespace hso::report
