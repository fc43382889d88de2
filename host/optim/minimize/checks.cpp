// SPDX-License-Identifier: Apache-2.0
#include "optim/minimize/checks.hpp"

#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso::detail {

void check_options(const MinimizeOptions& o) {
  const auto require = [](bool ok, const char* option, double value, const char* expected) {
    if (!ok) throw UsageError(fmt::format("minimize: {} = {}, expected {}", option, unsigned_nan(value), expected));
  };
  require(o.gradient_absolute >= 0, "gradient_absolute", o.gradient_absolute, "0 or above");
  require(o.gradient_relative >= 0, "gradient_relative", o.gradient_relative, "0 or above");
  require(!std::isnan(o.gradient_scaled), "gradient_scaled", o.gradient_scaled, "a number");
  require(o.gradient_fallback >= 0, "gradient_fallback", o.gradient_fallback, "0 or above");
  require(o.step >= 0, "step", o.step, "0 or above");
  require(o.loss >= 0, "loss", o.loss, "0 or above");
  require(o.max_steps >= 0, "max_steps", o.max_steps, "0 or above");
  require(o.max_rejections >= 1, "max_rejections", o.max_rejections, "at least 1");
  require(o.unbounded_below > 0, "unbounded_below", o.unbounded_below, "above 0");
  require(!std::isnan(o.target), "target", o.target, "a number");
  require(o.max_seconds >= 0, "max_seconds", o.max_seconds, "0 or above");
  require(o.max_evaluations >= 0, "max_evaluations", static_cast<double>(o.max_evaluations), "0 or above");
}

template <class T>
void check_one_piece(const View<T>& theta) {
  if (theta.one_hot != nullptr) throw UsageError("minimize: theta is a unit vector, expected numbers that may change");
  if (theta.lanes != 1 && theta.lane_stride != theta.size())
    throw UsageError(
        fmt::format("minimize: theta has {} lanes of {} numbers at distance {}, expected contiguous numbers",
                    theta.lanes, theta.size(), theta.lane_stride));
}

template void check_one_piece(const View<float>&);
template void check_one_piece(const View<double>&);

}  // namespace hso::detail
