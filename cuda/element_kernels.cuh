// SPDX-License-Identifier: Apache-2.0
//
// The one kernel behind for_each. Included by one .cu for float and one for double, which compile side by side.
#pragma once

#include <variant>

#include "element_kernels.hpp"
#include "index_math.hpp"

namespace hso::detail {

template <class Op>
__global__ void __launch_bounds__(256)
    for_each_kernel(const __grid_constant__ Op op, const __grid_constant__ ElementMap map) {
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index e = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; e < map.count; e += step) {
    const ElementIndex at = map.at(e);
    op(at.outer, at.inner);
  }
}

template <class T>
void launch_elements(const Launch& launch, Index outer, Index inner, const ElementOp<T>& op) {
  if (outer <= 0 || inner <= 0) return;
  std::visit(
      [&](const auto& element) {
        using Op = std::decay_t<decltype(element)>;
        for (Index first = 0; first < outer;) {
          const ElementMap map = element_map(first, outer, inner);
          const BlockPlan plan = block_plan(map.count, launch.multiprocessors);
          launch_kernel(launch, {plan.blocks, plan.threads}, for_each_kernel<Op>, element, map);
          first += map.count / inner;
        }
      },
      op);
}

}  // namespace hso::detail
