// SPDX-License-Identifier: Apache-2.0
#include "report/tensorboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/shown_text.hpp"
#include "report/event_file.hpp"

namespace hso::report {
namespace {

namespace fs = std::filesystem;

std::string tag_of(const std::string& metric) {
  if (metric == "epoch" || metric == "processor_seconds") return "cost/" + metric;
  if (metric == "objective") return "loss/objective";
  for (const char* part : {"train", "test"})
    for (const char* what : {"loss", "accuracy"})
      if (metric == fmt::format("{}_{}", part, what)) return fmt::format("{}/{}", what, part);
  return "method/" + metric;
}

double start_of(const RunLog& run) { return std::isfinite(run.started) ? run.started : 0; }

void add(Scalars& event, const std::string& tag, double value) {
  if (std::isfinite(value)) event.values.emplace_back(tag, value);
}

std::vector<Scalars> records_of(const RunLog& run) {
  std::vector<Scalars> events(run.step.size());
  for (std::size_t r = 0; r < events.size(); ++r) {
    const double seconds = std::isfinite(run.seconds[r]) ? run.seconds[r] : 0;
    events[r].step = static_cast<std::int64_t>(run.step[r]);
    events[r].wall_time = start_of(run) + seconds;
    add(events[r], "cost/seconds", run.seconds[r]);
    add(events[r], "cost/gradient_equivalents", run.gradient_equivalents[r]);
  }
  for (const Metric& metric : run.metrics)
    for (const Metric::Sample& s : metric.samples) add(events[s.record], tag_of(metric.name), s.value);
  return events;
}

/// Spectra have steps and no times: that of the last record before.
double wall_time_at(const std::vector<Scalars>& records, std::int64_t step, double start) {
  double out = start;
  for (const Scalars& record : records)
    if (record.step <= step) out = record.wall_time;
  return out;
}

}  // namespace

std::string tensorboard_events(const RunLog& run) {
  std::vector<Scalars> events = records_of(run);
  const std::vector<Scalars> records = events;
  for (const SpectrumLine& line : run.spectra) {
    Scalars event;
    event.step = static_cast<std::int64_t>(line.step);
    event.wall_time = wall_time_at(records, event.step, start_of(run));
    const std::string tag = fmt::format("spectrum/{}/", line.layer);
    if (!line.eigenvalues.empty()) {
      add(event, tag + "largest", line.eigenvalues.back());
      add(event, tag + "smallest", line.eigenvalues.front());
    }
    add(event, tag + "trace", line.trace);
    add(event, tag + "frobenius_squared", line.frobenius_squared);
    events.push_back(std::move(event));
  }
  std::stable_sort(events.begin(), events.end(), [](const Scalars& a, const Scalars& b) { return a.step < b.step; });
  return event_file(start_of(run), events);
}

std::vector<std::string> write_tensorboard(const std::vector<RunLog>& runs, const std::string& folder) {
  std::vector<std::string> paths;
  for (const RunLog& run : runs)
    if (run.step.empty())
      throw InputError(fmt::format("{}: has no records in metrics.jsonl, expected a training", run.path));
  for (const RunLog& run : runs) {
    const fs::path target = fs::path(folder) / run.name;
    std::error_code failed;
    fs::create_directories(target, failed);
    if (failed)
      throw InputError(fmt::format("{}: cannot create the folder: {}", shown(target.string()), failed.message()));
    paths.push_back((target / fmt::format("events.out.tfevents.{:.0f}.hso", start_of(run))).string());
    write_text_atomically(paths.back(), tensorboard_events(run));
  }
  return paths;
}

}  // namespace hso::report
