// SPDX-License-Identifier: Apache-2.0
//
// What `hso spectrum` found, as JSON, as a table for people, and as a picture.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hsogpu/linalg/analysis.hpp"

namespace hso::cli {

struct SpectrumResult {
  std::string model, kind, method, device, precision;
  std::vector<std::string> layers;  ///< empty: all
  std::string data;                 ///< JSON of what was taken from the data; empty: not known
  Index n = 0, rows = 0;
  double seconds = 0;
  Index products = 0;

  std::vector<double> eigenvalues, residuals;  ///< ascending; |A x - value x| of each is at most its residual
  bool complete = false;                       ///< eigenvalues are all n
  std::string stop;                            ///< why an iteration ended; "direct" for dense
  std::optional<ExtremesCheck> extremes;       ///< whether the eigenvalues are the extreme ones
  std::optional<RankResult> rank;
  std::optional<Estimate> trace, frobenius_squared, log_determinant;
  std::optional<double> exact_trace, exact_frobenius_squared, exact_log_determinant;
  std::string log_determinant_missing;  ///< why it is not there although it was asked for
  std::optional<DensityCurve> density;
  std::vector<std::string> notes;
  bool failed = false;  ///< exit code 5: something did not converge
  Index planned_bytes = 0, high_water_bytes = 0;
};

/// The numbers of an analysis; model, data and time are for the caller to fill in.
template <class T>
SpectrumResult result_of(const SpectrumAnalysis<T>& a) {
  SpectrumResult r;
  r.method = name_of(a.plan.method);
  r.planned_bytes = a.plan.bytes;
  r.n = a.n;
  r.products = a.products;
  r.eigenvalues = a.eigenvalues;
  r.residuals = a.residuals;
  r.complete = a.complete;
  r.stop = a.stop;
  r.extremes = a.extremes;
  r.rank = a.rank;
  r.trace = a.trace;
  r.frobenius_squared = a.frobenius_squared;
  r.exact_trace = a.exact_trace;
  r.exact_frobenius_squared = a.exact_frobenius_squared;
  r.exact_log_determinant = a.exact_log_determinant;
  r.log_determinant = a.log_determinant;
  r.log_determinant_missing = a.log_determinant_missing;
  r.density = a.density;
  r.notes = a.notes;
  r.failed = !a.converged;
  return r;
}

std::string to_json(const SpectrumResult& result);
void print_table(const SpectrumResult& result);  ///< to stderr

/// A self-contained SVG: the density on a logarithmic axis and a tick for each eigenvalue. Empty when there is neither.
std::string to_svg(const SpectrumResult& result);

}  // namespace hso::cli
