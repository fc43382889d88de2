// SPDX-License-Identifier: Apache-2.0
//
// Mean, least and most of a figure over the runs of a comparison.
#pragma once

#include <algorithm>
#include <cmath>

#include "hsogpu/prune/compare.hpp"

namespace hso {

/// Over the runs that did not fail.
struct RunRange {
  double mean = NAN, least = NAN, most = NAN;
  Index count = 0;
};

inline RunRange range_of(const PrunedRow& row, double PrunedRun::*value) {
  RunRange out{0, INFINITY, -INFINITY, 0};
  for (const PrunedRun& run : row.runs) {
    if (!run.failure.empty()) continue;
    out.mean += run.*value;
    out.least = std::min(out.least, run.*value);
    out.most = std::max(out.most, run.*value);
    ++out.count;
  }
  if (out.count == 0) return {};
  out.mean /= static_cast<double>(out.count);
  return out;
}

}  // namespace hso
