// SPDX-License-Identifier: Apache-2.0
//
// From what a command takes of its device to what it takes of the machine.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/train/train.hpp"

namespace hso {

/// `device`: bytes that are live on the device at most, those of now included; `copies`: of host memory beside them,
/// `reading`: of host memory until the data were on the device.
inline MemoryPlan plan_of(const Context& context, Index device, Index copies, Index reading) {
  MemoryPlan plan{context.name(), device, 0, context.memory().free_bytes};
  plan.host_bytes = std::max(reading, copies + (context.is_cuda() ? 0 : device));
  return plan;
}

/// MemoryError for a network whose parameters alone do not fit; multiples of their number are sizes then.
template <class T>
ParameterLayout parameter_layout(const Context& context, const Network<T>& network) {
  ParameterLayout layout{network.graph.parameter_count()};
  const Index free = context.memory().free_bytes;
  if (layout.n > free / static_cast<Index>(sizeof(T)))
    throw MemoryError(fmt::format("a network of {} parameters does not fit the memory: {:.1f} MB are free", layout.n,
                                  static_cast<double>(free) / 1e6));
  for (const ParameterInfo& p : network.parameters) layout.tensors.push_back(p.shape);
  return layout;
}

}  // namespace hso
