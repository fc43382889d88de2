// SPDX-License-Identifier: Apache-2.0
//
// From counts to time: an estimate, never a measurement.
#pragma once

#include <vector>

#include "rows.hpp"

namespace hso::ledger {

/// Published roofs of a device: memory bandwidth and float32 rate without tensor cores, from its data sheet.
struct Device {
  const char* name;
  double bytes_per_second, flops_per_second;
};
const std::vector<Device>& devices();

/// Costs that depend on the host and the driver more than on the device; reported values, to the nearest half
/// microsecond.
struct LaunchCosts {
  double launch = 2.5e-6;      ///< host: a kernel or a library call
  double graph_launch = 5e-6;  ///< host
  double copy = 4e-6;          ///< host
  double wait = 10e-6;         ///< host: from the end of the device's work to the next instruction
  double node = 1.5e-6;        ///< device: from one dependent kernel of a stream or graph to the next
};

/// Device work: nodes one after the other, each at the roof of its bytes or flops, whichever is slower. The host's
/// calls overlap with it unless something waits.
double estimated_seconds(const Row& row, const Device& device, const LaunchCosts& costs = {});

}  // namespace hso::ledger
