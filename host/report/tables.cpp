// SPDX-License-Identifier: Apache-2.0
//
// The tables of the page: final numbers, configuration, notes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/shown_numbers.hpp"
#include "report/html.hpp"
#include "report/sections.hpp"

namespace hso::report {
namespace {

constexpr const char* kMissing = "–";

std::string number(double v) { return std::isfinite(v) ? fmt::format("{:.6g}", v) : kMissing; }
/// What varies from run to run.
std::string rounded(double v) { return std::isfinite(v) ? fmt::format("{:.4g}", v) : kMissing; }
std::string share(double v) { return std::isfinite(v) ? percent(v) : kMissing; }

/// The last stage with everything that was done in it.
LossAndAccuracy last_of(const PruneLog& p, bool test) {
  if (p.stages.empty()) return test ? p.test : p.train;
  const PruneStageLog& s = p.stages.back();
  const LossAndAccuracy& tuned = test ? s.tuned_test : s.tuned_train;
  return std::isfinite(tuned.loss) ? tuned : test ? s.test : s.train;
}

/// Of a pruning: after its last stage.
double final_value(const RunLog& run, const char* metric, double LossAndAccuracy::*number, bool test) {
  return run.prune ? last_of(*run.prune, test).*number : run.final_value(metric);
}
double train_loss(const RunLog& run) { return final_value(run, "train_loss", &LossAndAccuracy::loss, false); }
double test_loss(const RunLog& run) { return final_value(run, "test_loss", &LossAndAccuracy::loss, true); }
double test_accuracy(const RunLog& run) { return final_value(run, "test_accuracy", &LossAndAccuracy::accuracy, true); }

struct Best {
  double value = kNone, step = kNone;
};
Best best_test_accuracy(const RunLog& run) {
  Best best;
  if (const Metric* m = run.find("test_accuracy"); m != nullptr)
    for (const Metric::Sample& s : m->samples)
      if (!(s.value <= best.value) && std::isfinite(s.value)) best = {s.value, run.step[s.record]};
  return best;
}
double best_accuracy(const RunLog& run) { return best_test_accuracy(run).value; }

std::string method_of(const RunLog& run) {
  std::string out = run.options.optimizer;
  if (run.prune) {
    out = "hso prune";
    for (const auto& [key, value] : run.config)
      if (key == "prune.score") out += ", " + value;
    if (!run.prune->stages.empty()) out += ", " + percent(run.prune->stages.back().sparsity) + " removed";
  }
  for (const std::string& wrapper : run.options.wrappers) out += " " + wrapper;
  return safe(out);
}

std::string steps_of(const RunLog& run) {
  if (run.step.empty()) return kMissing;
  std::string out = number(run.step.back());
  if (std::isfinite(run.kept_step) && run.kept_step != run.step.back())
    out += fmt::format(" (kept: {})", run.kept_step);
  return run.rejected > 0 ? fmt::format("{}, {} rejected", out, run.rejected) : out;
}

/// A record has those of its own step alone.
std::string products_of(const RunLog& run) {
  const Metric* m = run.find("products");
  const auto records = static_cast<double>(run.step.size());
  if (m == nullptr || run.step.empty() || run.step.back() != records - 1) return kMissing;
  double sum = 0;
  for (const Metric::Sample& s : m->samples) sum += std::isfinite(s.value) ? s.value : 0;
  return number(sum);
}

std::string stop_of(const RunLog& run) {
  if (!run.stop_reason.empty()) return safe(run.stop_reason);
  if (run.prune) return kMissing;
  return fmt::format(
      "<abbr title=\"No result.json of this training: it runs, was killed, or is of an older version.\">{}</abbr>",
      kMissing);
}

double last_of(const std::vector<double>& values) { return values.empty() ? kNone : values.back(); }

/// Cells of one number a run; the best of several is marked.
template <class Value>
std::vector<Cell> ranked(const Runs& runs, const Value& value, bool largest, std::string (*text)(double)) {
  double best = kNone;
  for (const RunLog& run : runs)
    if (const double v = value(run); std::isfinite(v) && !(largest ? v <= best : v >= best)) best = v;
  std::vector<Cell> out;
  for (const RunLog& run : runs) {
    const double v = value(run);
    out.push_back({text(v), runs.size() > 1 && v == best ? "number best" : "number"});
  }
  return out;
}

std::vector<Cell> texts(const Runs& runs, std::string (*text)(const RunLog&), const char* classes) {
  std::vector<Cell> out;
  for (const RunLog& run : runs) out.push_back({text(run), classes});
  return out;
}

using Setting = std::pair<std::string, std::string>;

/// Of every run, "" where it has none.
std::vector<std::string> values_of(const Runs& runs, const std::string& key) {
  std::vector<std::string> out(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i)
    for (const auto* settings : {&runs[i].config, &runs[i].environment})
      for (const Setting& setting : *settings)
        if (setting.first == key) out[i] = setting.second;
  return out;
}

/// Options, and behind them the environments.
std::vector<std::string> keys_of(const Runs& runs) {
  std::vector<std::string> out;
  for (const auto list : {&RunLog::config, &RunLog::environment})
    for (const RunLog& run : runs)
      for (const Setting& setting : run.*list)
        if (std::find(out.begin(), out.end(), setting.first) == out.end()) out.push_back(setting.first);
  return out;
}

std::string words(const std::string& value) { return value.empty() ? kMissing : safe(value); }

}  // namespace

std::string summary_section(const Runs& runs) {
  struct Column {
    const char* title;
    std::vector<Cell> cells;
  };
  std::vector<Column> columns{{"method", texts(runs, method_of, "")},
                              {"steps", texts(runs, steps_of, "number")},
                              {"training loss", ranked(runs, train_loss, false, number)},
                              {"test loss", ranked(runs, test_loss, false, number)},
                              {"test accuracy", ranked(runs, test_accuracy, true, share)},
                              {"best test accuracy", ranked(runs, best_accuracy, true, share)},
                              {"seconds", {}},
                              {"gradient-equivalents", {}},
                              {"products", texts(runs, products_of, "number")},
                              {"stopped by", texts(runs, stop_of, "")}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (const Best best = best_test_accuracy(runs[i]); std::isfinite(best.value))
      columns[5].cells[i].html += fmt::format(" <small>at {}</small>", best.step);
    columns[6].cells.push_back({rounded(last_of(runs[i].seconds)), "number"});
    columns[7].cells.push_back({rounded(last_of(runs[i].gradient_equivalents)), "number"});
  }
  std::vector<std::vector<Cell>> rows{{{"run"}}};
  for (const Column& c : columns)
    rows[0].push_back({c.title, c.cells[0].classes.starts_with("number") ? "number" : ""});
  for (std::size_t i = 0; i < runs.size(); ++i) {
    rows.push_back({{swatch(i, runs[i].name)}});
    for (const Column& c : columns) rows.back().push_back(c.cells[i]);
  }
  return section("Final numbers",
                 "Of the parameters that were kept. Seconds and gradient-equivalents are those spent in steps.",
                 table(rows, "numbers"));
}

std::string config_section(const Runs& runs) {
  std::vector<std::vector<Cell>> differing{{{"option"}}}, common{{{"option"}, {"value"}}};
  for (std::size_t i = 0; i < runs.size(); ++i) differing[0].push_back({swatch(i, runs[i].name)});
  for (const std::string& key : keys_of(runs)) {
    const std::vector<std::string> values = values_of(runs, key);
    if (std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end()) {
      common.push_back({{safe(key)}, {words(values.front())}});
      continue;
    }
    differing.push_back({{safe(key)}});
    for (const std::string& value : values)
      differing.back().push_back({words(value), value == values.front() ? "" : "differs"});
  }
  const std::string all = table(common, "config");
  if (runs.size() == 1) return section("Configuration", "", all);
  const std::string differences =
      differing.size() == 1 ? "<p class=\"note\">The runs differ in nothing.</p>\n" : table(differing, "config");
  return section(
      "Configuration", "What the runs differ in; marked: what is not as in the first.",
      differences + fmt::format("<details>\n<summary>{} options that are the same in all</summary>\n{}</details>\n",
                                common.size() - 1, all));
}

std::string notes_section(const Runs& runs) {
  std::string out;
  for (std::size_t i = 0; i < runs.size(); ++i)
    for (const std::string& note : runs[i].notes)
      out += fmt::format("<li>{}: {}</li>\n", swatch(i, runs[i].name), safe(note));
  return section("Notes", "", out.empty() ? out : "<ul>\n" + out + "</ul>\n");
}

}  // namespace hso::report
