// SPDX-License-Identifier: Apache-2.0
//
// From what a command takes of its device to what it takes of the machine.
#pragma once

#include "hsogpu/train.hpp"

namespace hso {

/// `device`: bytes that are live on the device at most, those of now included; `copies`: of host memory beside them,
/// `reading`: of host memory until the data were on the device.
inline MemoryPlan plan_of(const Context& context, Index device, Index copies, Index reading) {
  MemoryPlan plan{context.name(), device, 0, context.memory().free_bytes};
  plan.host_bytes = std::max(reading, copies + (context.is_cuda() ? 0 : device));
  return plan;
}

template <class T>
ParameterLayout parameter_layout(const Network<T>& network) {
  ParameterLayout layout{network.graph.parameter_count()};
  for (const ParameterInfo& p : network.parameters) layout.tensors.push_back(p.shape);
  return layout;
}

}  // namespace hso
