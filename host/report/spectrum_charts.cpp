// SPDX-License-Identifier: Apache-2.0
//
// spectra.jsonl over steps: the runs beside each other, then each run with its layers.
#include <fmt/format.h>

#include <algorithm>

#include "report/html.hpp"
#include "report/sections.hpp"

namespace hso::report {
namespace {

constexpr const char* kWhole = "all";
constexpr std::size_t kEigenvalues = 5;  // of each end

/// A number of a line; NaN: it has none.
template <class Value>
svg::Curve curve_of(const RunLog& run, const std::string& layer, const std::string& name, std::size_t colour,
                    const Value& value) {
  svg::Curve out{name, {}, colour, ""};
  for (const SpectrumLine& line : run.spectra)
    if (line.layer == layer) out.points.emplace_back(line.step, value(line));
  return out;
}

double largest(const SpectrumLine& line) { return line.eigenvalues.empty() ? kNone : line.eigenvalues.back(); }
double smallest(const SpectrumLine& line) { return line.eigenvalues.empty() ? kNone : line.eigenvalues.front(); }
double trace(const SpectrumLine& line) { return line.trace; }

template <class Value>
std::string over_runs(const Runs& runs, const char* title, const Value& value, bool errors = false) {
  svg::LineChart chart{title, "step", {}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    chart.curves.push_back(curve_of(runs[i], kWhole, runs[i].name, i, value));
    chart.curves.back().classes = run_class(i);
    if (errors)
      for (const SpectrumLine& line : runs[i].spectra)
        if (line.layer == kWhole) chart.curves.back().errors.push_back(line.trace_error);
  }
  return figure(chart, errors ? "(band: one standard error)" : "");
}

/// The k-th from above and from below; a matrix with few eigenvalues has each once.
std::string both_ends(const RunLog& run) {
  svg::LineChart chart{"eigenvalues at both ends", "step", {}};
  for (std::size_t k = 0; k < kEigenvalues; ++k) {
    const auto from_above = [k](const SpectrumLine& line) {
      return k < (line.eigenvalues.size() + 1) / 2 ? line.eigenvalues[line.eigenvalues.size() - 1 - k] : kNone;
    };
    const auto from_below = [k](const SpectrumLine& line) {
      return k < line.eigenvalues.size() / 2 ? line.eigenvalues[k] : kNone;
    };
    chart.curves.push_back(curve_of(run, kWhole, fmt::format("{} from above", k + 1), 1, from_above));
    chart.curves.push_back(curve_of(run, kWhole, fmt::format("{} from below", k + 1), 0, from_below));
  }
  return figure(chart, swatch(1, "largest") + " " + swatch(0, "smallest"));
}

std::vector<std::string> layers_of(const RunLog& run) {
  std::vector<std::string> out;
  for (const SpectrumLine& line : run.spectra)
    if (line.layer != kWhole && std::find(out.begin(), out.end(), line.layer) == out.end()) out.push_back(line.layer);
  return out;
}

template <class Value>
std::string by_layer(const RunLog& run, const char* title, const Value& value) {
  svg::LineChart chart{title, "step", {}};
  std::string note;
  for (const std::string& layer : layers_of(run)) {
    note += swatch(chart.curves.size(), layer) + ' ';
    chart.curves.push_back(curve_of(run, layer, "layer " + layer, chart.curves.size(), value));
  }
  return figure(chart, note);
}

std::string of_run(const RunLog& run, std::size_t i, bool named) {
  const std::string out = figures(
      {both_ends(run), by_layer(run, "largest eigenvalue by layer", largest), by_layer(run, "trace by layer", trace)});
  return out.empty() || !named ? out : "<h3>" + swatch(i, run.name) + "</h3>\n" + out;
}

}  // namespace

std::string spectrum_section(const Runs& runs) {
  std::string out = figures({over_runs(runs, "largest eigenvalue", largest),
                             over_runs(runs, "smallest eigenvalue", smallest), over_runs(runs, "trace", trace, true)});
  for (std::size_t i = 0; i < runs.size(); ++i) out += of_run(runs[i], i, runs.size() > 1);
  std::vector<std::string> kinds;
  for (const RunLog& run : runs)
    if (!run.spectra.empty() && std::find(kinds.begin(), kinds.end(), run.options.spectrum_kind) == kinds.end())
      kinds.push_back(run.options.spectrum_kind);
  std::string note;
  for (const std::string& kind : kinds) note += (note.empty() ? "" : ", ") + kind;
  return section("Spectrum", "Curvature over the training part: " + safe(note) + ".", out);
}

}  // namespace hso::report
