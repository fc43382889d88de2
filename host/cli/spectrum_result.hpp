// SPDX-License-Identifier: Apache-2.0
//
// What `hso spectrum` found, as JSON, as a table for people, and as a picture.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hsogpu/linalg.hpp"
#include "hsogpu/spectrum.hpp"

namespace hso::cli {

struct SpectrumResult {
  std::string model, kind, method, device, precision;
  std::vector<std::string> layers;  ///< empty: all
  Index n = 0, rows = 0;
  double seconds = 0;
  Index products = 0;

  std::vector<double> eigenvalues, residuals;  ///< ascending; |A x - value x| of each is at most its residual
  bool complete = false;                       ///< eigenvalues are all n
  std::string stop;                            ///< why an iteration ended; "direct" for dense
  std::optional<SpectrumSummary> summary;      ///< of a complete spectrum
  bool summary_means_something = true;         ///< false: rounding is as large as the tolerance
  std::optional<Estimate> trace, frobenius_squared;
  std::optional<double> exact_trace, exact_frobenius_squared;
  std::optional<DensityCurve> density;
  std::vector<std::string> notes;
  bool failed = false;  ///< exit code 5: something did not converge
};

std::string to_json(const SpectrumResult& result);
void print_table(const SpectrumResult& result);  ///< to stderr

/// A self-contained SVG: the density on a logarithmic axis and a tick for each eigenvalue. Empty when there is neither.
std::string to_svg(const SpectrumResult& result);

}  // namespace hso::cli
