// SPDX-License-Identifier: Apache-2.0
#include "cli/spectrum_result.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstdio>

#include "io/shown_text.hpp"
#include "linalg/estimate_json.hpp"

namespace hso::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const RankResult& r) {
  if (!r.meaningful)
    return {{"meaningful", false}, {"reason", "rounding is as large as the tolerance: use --precision float64"}};
  if (!r.exact)
    return {{"exact", false},
            {"at_least", r.at_least},
            {"at_most", r.at_most},
            {"positive_at_least", r.inertia.positive},
            {"negative_at_least", r.inertia.negative},
            {"tolerance", r.tolerance}};
  Json out{{"exact", true},
           {"rank", r.at_least},
           {"positive", r.inertia.positive},
           {"zero", r.inertia.zero},
           {"negative", r.inertia.negative},
           {"tolerance", r.tolerance}};
  if (r.condition) out["condition"] = *r.condition;
  return out;
}

/// A bound that is not known is null.
Json json_of(const ExtremesCheck& e) {
  const auto bound = [](double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); };
  return {{"confirmed", e.confirmed},
          {"confidence", e.confidence},
          {"none_below", bound(e.below)},
          {"none_above", bound(e.above)},
          {"search_products", e.products}};
}

/// The line behind the eigenvalues where they are known to be the extreme ones; a note says so where they are not.
void print_extremes(const ExtremesCheck& e) {
  if (e.confirmed && e.confidence == 1)
    fmt::print(stderr, "  extremes     none is missing\n");
  else if (e.confirmed)
    fmt::print(stderr, "  extremes     none is missing, with {:g} % confidence ({} products)\n", 100 * e.confidence,
               e.products);
}

void print_rank(const RankResult& r, Index n) {
  if (!r.meaningful)
    fmt::print(stderr, "  rank         not meaningful in float32: rounding is as large as the tolerance\n");
  else if (r.exact)
    fmt::print(stderr, "  rank         {} of {} ({} positive, {} zero, {} negative at tolerance {:.2g}){}\n",
               r.at_least, n, r.inertia.positive, r.inertia.zero, r.inertia.negative, r.tolerance,
               r.condition ? fmt::format(", condition {:.3g}", *r.condition) : std::string());
  else
    fmt::print(stderr, "  rank         {} to {} of {} (at least {} positive, {} negative at tolerance {:.2g})\n",
               r.at_least, r.at_most, n, r.inertia.positive, r.inertia.negative, r.tolerance);
}

}  // namespace

std::string to_json(const SpectrumResult& r) {
  Json j{{"model", r.model},     {"kind", r.kind},        {"method", r.method},       {"n", r.n},
         {"rows", r.rows},       {"device", r.device},    {"precision", r.precision}, {"layers", r.layers},
         {"seconds", r.seconds}, {"products", r.products}};
  if (!r.data.empty()) j["data"] = Json::parse(r.data);
  j["eigenvalues"] = r.eigenvalues;
  j["residuals"] = r.residuals;
  j["complete"] = r.complete;
  j["stop"] = r.stop;
  if (r.extremes) j["extremes"] = json_of(*r.extremes);
  if (r.rank) j["rank"] = json_of(*r.rank);
  if (r.exact_trace) j["trace"] = {{"value", *r.exact_trace}, {"exact", true}};
  if (r.exact_frobenius_squared) j["frobenius_squared"] = {{"value", *r.exact_frobenius_squared}, {"exact", true}};
  if (r.trace) j["trace"] = estimate_json(*r.trace);
  if (r.frobenius_squared) j["frobenius_squared"] = estimate_json(*r.frobenius_squared);
  if (r.exact_log_determinant) j["log_determinant"] = {{"value", *r.exact_log_determinant}, {"exact", true}};
  if (r.log_determinant) j["log_determinant"] = estimate_json(*r.log_determinant);
  if (!r.log_determinant_missing.empty())
    j["log_determinant"] = {{"value", nullptr}, {"reason", r.log_determinant_missing}};
  if (r.density)
    j["density"] = {{"x", r.density->x},
                    {"value", r.density->value},
                    {"standard_error", r.density->standard_error},
                    {"quadrature_error", r.density->quadrature_error},
                    {"sigma", r.density->sigma}};
  j["memory"] = {{"planned_bytes", r.planned_bytes}, {"high_water_bytes", r.high_water_bytes}};
  j["notes"] = r.notes;
  return j.dump(1) + "\n";
}

namespace {

/// The interval holds the quadrature and rounding; they are named where they are a tenth of the probes' own error.
void print_estimate(const char* name, const Estimate& e) {
  std::string parts;
  if (e.quadrature_error > 0.1 * e.standard_error)
    parts += fmt::format(", quadrature {} {:.2g}", e.quadrature_bounded ? "within" : "about", e.quadrature_error);
  if (e.rounding_error > 0.1 * e.standard_error) parts += fmt::format(", rounding within {:.2g}", e.rounding_error);
  fmt::print(stderr, "  {:<12} {:.6g} +- {:.2g} ({:g} % interval {:.6g} to {:.6g}{}, {} probes, seed {})\n", name,
             e.value, e.standard_error, 100 * e.confidence, e.low, e.high, parts, e.probes, e.seed);
}

void print_eigenvalues(const SpectrumResult& r) {
  if (r.eigenvalues.empty()) return;
  constexpr std::size_t kShown = 10;
  const std::size_t count = r.eigenvalues.size();
  fmt::print(stderr, "  eigenvalues  {} of {}, {}\n", count, r.n, r.stop);
  for (std::size_t i = count; i-- > 0;) {
    if (count > 2 * kShown && i == count - kShown - 1) {
      fmt::print(stderr, "  {:>13}\n", "...");
      i = kShown;
      continue;
    }
    fmt::print(stderr, "  {:>13.6g}   residual {:.1e}\n", r.eigenvalues[i], r.residuals[i]);
  }
}

}  // namespace

void print_table(const SpectrumResult& r) {
  fmt::print(stderr, "{} of {} (n = {}, {} rows{}), {}, {} on {}: {} products, {:.2f} s\n", r.kind, shown(r.model), r.n,
             r.rows, r.layers.empty() ? "" : fmt::format(", layers {}", fmt::join(r.layers, " ")), r.method,
             r.precision, r.device, r.products, r.seconds);
  print_eigenvalues(r);
  if (r.extremes) print_extremes(*r.extremes);
  if (r.rank) print_rank(*r.rank, r.n);
  if (r.exact_trace) fmt::print(stderr, "  trace        {:.9g}\n", *r.exact_trace);
  if (r.exact_frobenius_squared) fmt::print(stderr, "  |A|_F^2      {:.9g}\n", *r.exact_frobenius_squared);
  if (r.trace) print_estimate("trace", *r.trace);
  if (r.frobenius_squared) print_estimate("|A|_F^2", *r.frobenius_squared);
  if (r.exact_log_determinant) fmt::print(stderr, "  log det      {:.9g}\n", *r.exact_log_determinant);
  if (r.log_determinant) print_estimate("log det", *r.log_determinant);
  for (const std::string& note : r.notes) fmt::print(stderr, "  note: {}\n", note);
}

}  // namespace hso::cli
