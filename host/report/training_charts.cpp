// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/html.hpp"
#include "report/sections.hpp"

namespace hso::report {
namespace {

struct Measure {
  const char* label;
  std::vector<double> RunLog::*values;
};
constexpr std::array<Measure, 3> kMeasures = {{{"step", &RunLog::step},
                                               {"seconds in steps", &RunLog::seconds},
                                               {"gradient-equivalents", &RunLog::gradient_equivalents}}};

struct ShownMetric {
  const char *name, *title;
};
/// Charts that are always visible. Other metrics go into a part that is opened by a click, but for those in kApart,
/// which have charts of their own or are measures of cost.
constexpr std::array<ShownMetric, 11> kShown = {{{"delta", "damping delta"},
                                                 {"inverse_delta", "damping of the inverse"},
                                                 {"eps", "eps"},
                                                 {"eps_scale", "eps scale"},
                                                 {"eps_rest", "eps of the rest"},
                                                 {"shift", "shift"},
                                                 {"radius", "radius of the region"},
                                                 {"gradient_norm", "gradient norm"},
                                                 {"step_norm", "step norm"},
                                                 {"ratio", "actual / predicted decrease"},
                                                 {"lambda_max", "largest eigenvalue the method saw"}}};
constexpr std::array<const char*, 6> kApart = {"train_loss",    "test_loss", "train_accuracy",
                                               "test_accuracy", "epoch",     "processor_seconds"};

svg::Curve curve_of(const Runs& runs, std::size_t i, const char* part, const std::string& metric,
                    const Measure& measure) {
  const RunLog& run = runs[i];
  svg::Curve out{*part == '\0' ? run.name : fmt::format("{}, {}", run.name, part), {}, i, run_class(i)};
  if (const Metric* m = run.find(metric); m != nullptr)
    for (const Metric::Sample& s : m->samples)
      if (const double x = (run.*measure.values)[s.record]; std::isfinite(x)) out.points.emplace_back(x, s.value);
  return out;
}

/// Training part and test part over one measure.
std::string both_parts(const Runs& runs, const char* what, const char* title, svg::Scale scale, const Measure& m) {
  svg::LineChart chart{title, m.label, {}, scale};
  for (std::size_t i = 0; i < runs.size(); ++i)
    for (const bool test : {false, true}) {
      const char* part = test ? "test" : "train";
      chart.curves.push_back(curve_of(runs, i, part, fmt::format("{}_{}", part, what), m));
      chart.curves.back().dashed = test;
    }
  return figure(chart);
}

std::string metric_figure(const Runs& runs, const std::string& name, const std::string& title) {
  svg::LineChart chart{title, kMeasures[0].label, {}};
  for (std::size_t i = 0; i < runs.size(); ++i) chart.curves.push_back(curve_of(runs, i, "", name, kMeasures[0]));
  return figure(chart);
}

/// True when the values of all runs are one number, or none.
bool is_constant(const Runs& runs, const std::string& name) {
  std::vector<double> values;
  for (const RunLog& run : runs)
    if (const Metric* m = run.find(name); m != nullptr)
      for (const Metric::Sample& s : m->samples)
        if (std::isfinite(s.value)) values.push_back(s.value);
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

/// In the order in which they appear, without those that have a place elsewhere.
std::vector<std::string> other_metrics(const Runs& runs) {
  std::vector<std::string> out;
  const auto has_place = [](const std::string& name) {
    return std::any_of(kShown.begin(), kShown.end(), [&](const ShownMetric& m) { return name == m.name; }) ||
           std::find(kApart.begin(), kApart.end(), name) != kApart.end();
  };
  for (const RunLog& run : runs)
    for (const Metric& m : run.metrics)
      if (!has_place(m.name) && std::find(out.begin(), out.end(), m.name) == out.end()) out.push_back(m.name);
  return out;
}

/// What never changes is a line of text and no picture.
std::string others(const Runs& runs) {
  std::vector<std::string> drawn;
  std::string constant;
  for (const std::string& name : other_metrics(runs)) {
    if (is_constant(runs, name))
      constant += (constant.empty() ? "" : ", ") + safe(name);
    else
      drawn.push_back(metric_figure(runs, name, name));
  }
  const std::string charts = figures(drawn);
  if (charts.empty() && constant.empty()) return {};
  return "<details>\n<summary>everything else in metrics.jsonl</summary>\n" + charts +
         (constant.empty() ? "" : "<p class=\"note\">The same in every record: " + constant + "</p>\n") +
         "</details>\n";
}

}  // namespace

std::string training_section(const Runs& runs) {
  std::string out;
  for (const auto& [what, title, scale] :
       {std::tuple{"loss", "loss", svg::Scale::logarithmic}, std::tuple{"accuracy", "accuracy", svg::Scale::share}}) {
    std::vector<std::string> row;
    for (const Measure& m : kMeasures) row.push_back(both_parts(runs, what, title, scale, m));
    out += figures(row);
  }
  return section("Training",
                 "Solid: training part. Dashed: test part. Losses and errors (1 - accuracy) stand by their logarithm, "
                 "0 on the edge; where a value is not "
                 "finite the curve has a gap. Long curves go through medians, in a band of minima and maxima.",
                 out);
}

std::string method_section(const Runs& runs) {
  std::vector<std::string> shown;
  for (const auto& [name, title] : kShown) shown.push_back(metric_figure(runs, name, title));
  return section("Method", "What each evaluated step reported.", figures(shown) + others(runs));
}

}  // namespace hso::report
