// SPDX-License-Identifier: Apache-2.0
#include "report/prune_log.hpp"

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"

namespace hso::report {
namespace {

const Json& part(const Json& json, const char* key, const std::string& path) {
  const auto at = json.find(key);
  if (at == json.end() || !(at->is_object() || at->is_array()))
    throw InputError(fmt::format("{}: {} is missing, expected what hso prune writes", path, key));
  return *at;
}

LossAndAccuracy evaluation(const Json& json, const char* key, const std::string& path) {
  const Json& e = part(json, key, path);
  return {number_at(e, "loss", path), number_at(e, "accuracy", path)};
}

PruneStageLog stage(const Json& json, const std::string& path) {
  return {required_number(json, "kept", path),       required_number(json, "sparsity", path),
          number_at(json, "predicted_change", path), number_at(json, "actual_change", path),
          evaluation(json, "train", path),           evaluation(json, "test", path),
          evaluation(json, "finetuned_train", path), evaluation(json, "finetuned_test", path)};
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::vector<std::pair<std::string, std::string>> texts(const Json& json) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [key, value] : json.items())
    if (value.is_primitive() && !value.is_null()) out.emplace_back(key, text_of(value));
  return out;
}

}  // namespace

PruneLog prune_log(const Json& json, const std::string& path) {
  PruneLog out;
  const Json& before = part(json, "before", path);
  out.train = evaluation(before, "train", path);
  out.test = evaluation(before, "test", path);
  for (const Json& s : part(json, "stages", path)) out.stages.push_back(stage(s, path));
  out.before = texts(part(json, "size_before", path));
  out.after = texts(part(json, "size_after", path));
  return out;
}

std::vector<std::pair<std::string, std::string>> prune_config(const Json& json) {
  std::vector<std::pair<std::string, std::string>> out;
  for (auto& [key, text] : texts(json)) {
    if (key == "stages" || key == "shrink_difference" || key == "device") continue;
    out.emplace_back("prune." + key, text);
  }
  return out;
}

}  // namespace hso::report
