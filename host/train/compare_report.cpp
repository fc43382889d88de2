// SPDX-License-Identifier: Apache-2.0
//
// A comparison as a table and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "hsogpu/data/io.hpp"
#include "hsogpu/train/compare.hpp"
#include "io/shown_numbers.hpp"
#include "train/fields.hpp"
#include "train/run_files.hpp"

namespace hso {
namespace {

using Json = nlohmann::ordered_json;

struct Range {
  double mean = NAN, least = NAN, most = NAN;
};

/// Over the runs that count.
template <class Value>
Range range_of(const std::vector<CompareRun>& runs, const Value& value) {
  Range r{0, INFINITY, -INFINITY};
  Index count = 0;
  for (const CompareRun& run : runs) {
    if (!run.counts()) continue;
    const double v = value(run);
    r.mean += v;
    r.least = std::min(r.least, v);
    r.most = std::max(r.most, v);
    ++count;
  }
  if (count == 0) return {};
  r.mean /= static_cast<double>(count);
  return r;
}

Range losses(const ContenderResult& c) {
  return range_of(c.runs, [](const CompareRun& r) { return r.last.loss; });
}
Range seconds(const ContenderResult& c) {
  return range_of(c.runs, [](const CompareRun& r) { return r.last.seconds; });
}
Range gradients(const ContenderResult& c) {
  return range_of(c.runs, [](const CompareRun& r) { return r.last.gradient_equivalents; });
}
Range train_accuracies(const ContenderResult& c) {
  return range_of(c.runs, [](const CompareRun& r) { return r.last.accuracy; });
}
Range test_accuracies(const ContenderResult& c) {
  return range_of(c.runs, [](const CompareRun& r) { return r.test_accuracy; });
}

/// "steps", or "steps 2, stalled 1" where seeds differ.
std::string status_of(const ContenderResult& c) {
  if (c.runs.empty()) return c.trials.empty() ? "not run" : c.best < 0 ? c.trials.front().status : "searched";
  std::map<std::string, int> counts;
  for (const CompareRun& r : c.runs) ++counts[r.status];
  if (counts.size() == 1) return counts.begin()->first;
  std::string out;
  for (const auto& [status, count] : counts) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", status, count);
  return out;
}

std::string failure_of(const ContenderResult& c) {
  for (const auto* list : {&c.runs, &c.trials})
    for (const CompareRun& r : *list)
      if (!r.message.empty()) return r.message;
  return {};
}

std::string best_text(const ContenderResult& c) {
  if (c.best < 0) return "-";
  if (c.searched.name.empty()) return "(none)";
  return fmt::format("{}={:.4g}", c.searched.name, c.trials[static_cast<std::size_t>(c.best)].value);
}

std::string number(double v) { return std::isnan(v) ? "-" : fmt::format("{:.3g}", v); }
Json to_json(const Range& r, Json (*one)(double) = or_null) {
  return {{"mean", one(r.mean)}, {"min", one(r.least)}, {"max", one(r.most)}};
}

Json to_json(const CurvePoint& p) {
  return {{"step", p.step},
          {"seconds", p.seconds},
          {"gradient_equivalents", p.gradient_equivalents},
          {"train_loss", or_null(p.loss)},
          {"train_accuracy", accuracy_or_null(p.accuracy)}};
}

Json to_json(const CompareRun& r, bool with_curve) {
  Json json{{"seed", r.seed}, {"value", r.value}};
  json.update(to_json(r.last));
  json["test_loss"] = or_null(r.test_loss);
  json["test_accuracy"] = accuracy_or_null(r.test_accuracy);
  json["status"] = r.status;
  if (!r.message.empty()) json["message"] = r.message;
  if (!with_curve) return json;
  json["curve"] = Json::array();
  for (const CurvePoint& p : r.curve) json["curve"].push_back(to_json(p));
  return json;
}

Json to_json(const ContenderResult& c) {
  Json json{{"name", c.contender.name}, {"optimizer", c.contender.optimizer}, {"settings", Json::object()}};
  for (const auto& [name, value] : c.contender.settings) json["settings"][name] = value;
  json["searched"] = c.searched.name.empty() ? Json(nullptr) : Json(c.searched.name);
  json["best"] = c.best < 0 ? Json(nullptr) : Json(c.trials[static_cast<std::size_t>(c.best)].value);
  json["loss"] = to_json(losses(c));
  json["train_accuracy"] = to_json(train_accuracies(c), accuracy_or_null);
  json["test_accuracy"] = to_json(test_accuracies(c), accuracy_or_null);
  json["seconds"] = to_json(seconds(c));
  json["gradient_equivalents"] = to_json(gradients(c));
  json["status"] = status_of(c);
  if (const std::string message = failure_of(c); !message.empty()) json["message"] = message;
  json["trials"] = Json::array();
  for (const CompareRun& r : c.trials) json["trials"].push_back(to_json(r, false));
  json["runs"] = Json::array();
  for (const CompareRun& r : c.runs) json["runs"].push_back(to_json(r, true));
  return json;
}

}  // namespace

std::string comparison_table(const Comparison& c) {
  const auto row = [](const std::string& name, const auto&... rest) {
    return fmt::format("{:<28} {:<14} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>10}  {}\n", name, rest...);
  };
  std::string out = fmt::format("{} {:g} each, {} seeds, {} trials{}\n", name_of(c.budget.kind), c.budget.amount,
                                c.seeds, c.rates, c.complete ? "" : "; interrupted");
  out += row("optimizer", "best", "loss", "least", "most", "train", "test", "seconds", "gradients", "stopped by");
  for (const ContenderResult& r : c.contenders) {
    const Range loss = losses(r);
    out += row(r.contender.name, best_text(r), number(loss.mean), number(loss.least), number(loss.most),
               percent(train_accuracies(r).mean), percent(test_accuracies(r).mean), number(seconds(r).mean),
               number(gradients(r).mean), status_of(r));
    if (const std::string message = failure_of(r); !message.empty()) out += fmt::format("  {}\n", message);
  }
  return out;
}

std::string comparison_json(const Comparison& c) {
  Json json{{"budget", {{"kind", name_of(c.budget.kind)}, {"amount", c.budget.amount}}},
            {"seeds", c.seeds},
            {"rates", c.rates},
            {"search_share", c.search_share},
            {"complete", c.complete},
            {"device", c.device},
            {"data", Json::parse(c.data.json())},
            {"problem", Json::object()}};
  for (const TrainField& field : train_fields())
    if (field.key != "optimizer") json["problem"][field.key] = field_text(c.base, field);
  json["environment"] = Json::parse(environment_json());
  json["contenders"] = Json::array();
  for (const ContenderResult& r : c.contenders) json["contenders"].push_back(to_json(r));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string write_comparison(const Comparison& c, const std::string& run_directory) {
  RunDirectory directory(run_directory, c.base.overwrite);
  write_comparison(c, directory);
  return directory.path();
}

void write_comparison(const Comparison& c, RunDirectory& directory) {
  directory.clear();
  write_text_atomically(directory.file("config.toml"), to_toml(c.base));
  write_text_atomically(directory.file("env.json"), environment_json() + "\n");
  write_text_atomically(directory.file("comparison.json"), comparison_json(c) + "\n");
  write_text_atomically(directory.file("comparison.svg"), comparison_svg(c));
  write_text_atomically(directory.file("comparison.txt"), comparison_table(c));
  directory.keep();
}

}  // namespace hso
