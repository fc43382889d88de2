// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/prune/prune.hpp"
#include "io/shown_numbers.hpp"
#include "train/run_files.hpp"

namespace hso {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Evaluation& e) { return {{"loss", or_null(e.loss)}, {"accuracy", accuracy_or_null(e.accuracy)}}; }

Json to_json(const NetworkSize& s) {
  Json json{
      {"parameters", s.parameters}, {"nonzero", s.nonzero}, {"bytes", s.bytes}, {"multiply_adds", s.multiply_adds}};
  json["forward_milliseconds"] = s.milliseconds > 0 ? Json(s.milliseconds) : Json(nullptr);
  return json;
}

Json to_json(const PruneStage& s) {
  Json json{{"kept", s.kept},
            {"sparsity", s.sparsity},
            {"predicted_change", or_null(s.predicted)},
            {"actual_change", or_null(s.loss_after - s.loss_before)},
            {"objective_before", or_null(s.loss_before)},
            {"objective_after", or_null(s.loss_after)},
            {"train", to_json(s.train)},
            {"test", to_json(s.test)},
            {"finetuned_train", to_json(s.finetuned_train)},
            {"finetuned_test", to_json(s.finetuned_test)},
            {"seconds", s.seconds},
            {"finetune_seconds", s.finetune_seconds}};
  for (const PrunePoint& p : s.points)
    json["points"].push_back(
        {{"removals", p.removals}, {"predicted_change", or_null(p.predicted)}, {"actual_change", or_null(p.actual)}});
  if (s.flat)
    json["flat"] = {{"asked", s.flat->asked},
                    {"used", s.flat->used},
                    {"largest_flat", s.flat->largest_flat},
                    {"next", s.flat->next}};
  if (!s.notes.empty()) json["notes"] = s.notes;
  return json;
}

std::string change(double v) { return std::isfinite(v) ? fmt::format("{:+.3e}", v) : "-"; }

std::string size_row(const char* name, const NetworkSize& s) {
  return fmt::format("{:<8} {:>10} {:>10} {:>11} {:>13} {:>12}\n", name, s.parameters, s.nonzero, s.bytes,
                     s.multiply_adds, s.milliseconds > 0 ? fmt::format("{:.3f}", s.milliseconds) : "-");
}

}  // namespace

std::string prune_table(const PruneResult& r) {
  std::string out =
      fmt::format("before: train {} (loss {:.5g}), test {} (loss {:.5g})\n", percent(r.train_before.accuracy),
                  r.train_before.loss, percent(r.test_before.accuracy), r.test_before.loss);
  out += fmt::format("{:>5} {:>9} {:>9} {:>11} {:>11} {:>9} {:>9} {:>10} {:>10}\n", "stage", "kept", "sparsity",
                     "predicted", "actual", "train", "test", "tuned train", "tuned test");
  for (std::size_t k = 0; k < r.stages.size(); ++k) {
    const PruneStage& s = r.stages[k];
    out +=
        fmt::format("{:>5} {:>9} {:>9.4f} {:>11} {:>11} {:>9} {:>9} {:>11} {:>10}\n", k + 1, s.kept, s.sparsity,
                    change(s.predicted), change(s.loss_after - s.loss_before), percent(s.train.accuracy),
                    percent(s.test.accuracy), percent(s.finetuned_train.accuracy), percent(s.finetuned_test.accuracy));
  }
  out += fmt::format("{:<8} {:>10} {:>10} {:>11} {:>13} {:>12}\n", "network", "parameters", "nonzero", "bytes",
                     "multiply-adds", "forward ms");
  out += size_row("before", r.size_before) + size_row("after", r.size_after);
  out += fmt::format("shrunken and masked network differ by {:.2g} of their outputs\n", r.shrink_difference);
  for (const PruneStage& s : r.stages)
    for (const std::string& note : s.notes) out += "note: " + note + "\n";
  for (const std::string& note : r.shrunk.notes) out += "note: " + note + "\n";
  return out;
}

std::string prune_json(const PruneOptions& o, const PruneResult& r) {
  Json json{{"checkpoint", o.checkpoint},
            {"score", name_of(o.rule.score)},
            {"curvature", name_of(o.rule.curvature)},
            {"damping", o.rule.damping},
            {"compensate", o.rule.compensate && compensates(o.rule.score)},
            {"block", o.rule.block},
            {"rank", o.rule.rank},
            {"biases", o.rule.biases},
            {"per_layer", o.rule.per_layer},
            {"rows", o.rows},
            {"asked_sparsity", o.sparsity},
            {"asked_keep", o.keep},
            {"asked_multiply_adds", o.multiply_adds},
            {"finetune_epochs", o.finetune_epochs},
            {"finetune_steps", o.finetune_steps},
            {"granularity", name_of(o.granularity)},
            {"schedule", to_string(o.schedule)},
            {"seed", o.rule.seed},
            {"precision", o.precision},
            {"data", Json::parse(r.data.json())},
            {"before", {{"train", to_json(r.train_before)}, {"test", to_json(r.test_before)}}},
            {"stages", Json::array()}};
  for (const PruneStage& s : r.stages) json["stages"].push_back(to_json(s));
  json["kept"] = r.mask.count();
  json["sparsity"] = r.mask.sparsity();
  json["size_before"] = to_json(r.size_before);
  json["size_after"] = to_json(r.size_after);
  if (o.timing_rows > 0) json["timing_rows"] = o.timing_rows;
  json["shrink_difference"] = r.shrink_difference;
  if (!r.shrunk.notes.empty()) json["notes"] = r.shrunk.notes;
  json["complete"] = r.complete;
  json["device"] = r.device;
  json["environment"] = Json::parse(environment_json());
  return json.dump(2) + "\n";
}

}  // namespace hso
