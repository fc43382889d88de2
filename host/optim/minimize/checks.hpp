// SPDX-License-Identifier: Apache-2.0
//
// What minimize refuses before it evaluates anything: UsageErrors.
#pragma once

#include "hsogpu/optim/minimize.hpp"

namespace hso::detail {

/// Options outside their ranges.
void check_options(const MinimizeOptions& options);

/// A theta that is not one vector of contiguous numbers, as many as the objective has variables.
template <class T>
void check_theta(const Objective<T>& objective, const View<T>& theta);
template <class T>
void check_size(const Objective<T>& objective, Index given);

/// `run` at a copy in device memory, which is copied back whatever happens.
template <class T, class Run>
Summary in_device_memory(const Objective<T>& objective, std::vector<T>& theta, const Run& run) {
  check_size(objective, static_cast<Index>(theta.size()));
  Buffer<T> device(objective.context(), Span<const T>(theta));
  try {
    Summary summary = run(device.view());
    theta = device.download();
    return summary;
  } catch (...) {
    theta = device.download();
    throw;
  }
}

}  // namespace hso::detail
