// SPDX-License-Identifier: Apache-2.0
//
// The one kernel behind for_each: a thread takes one element, or a pack of them where the functor is pointwise and its
// rows are aligned. Included by one .cu for float and one for double, which compile side by side.
#pragma once

#include "element_kernels.hpp"
#include "element_map.hpp"
#include "packs.hpp"

namespace hso::detail {

template <class Op, int Wide>
__global__ void __launch_bounds__(256)
    for_each_kernel(const __grid_constant__ Op op, const __grid_constant__ ElementMap<coordinates<Op>(), Wide> map) {
  const std::uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread >= map.threads) return;
  const auto at = map.at(thread);
  const auto row = map.rows.at(at.row);
  if constexpr (Wide > 1) {
    if (map.takes_pack(at)) return run_pack<Wide>(op, row, map.pack_start(at));
  }
  run_element(op, row, map.single(at));
}

template <int Wide, class Op>
void launch_functor(const Launch& launch, Index outer, Index inner, const Op& op) {
  each_launch<Wide>(op, outer, inner, [&](const auto& map) {
    const BlockPlan plan = block_plan(map.threads, launch.multiprocessors);
    launch_kernel(launch, {plan.blocks, plan.threads}, for_each_kernel<Op, Wide>, op, map);
  });
}

template <class T>
void launch_elements(const Launch& launch, Index outer, Index inner, const ElementOp<T>& op) {
  if (outer <= 0 || inner <= 0) return;
  op.visit([&](const auto& element) {
    constexpr int kPack = 16 / sizeof(T);
    using Op = std::decay_t<decltype(element)>;
    if constexpr (HasOperands<Op> && packs_pay<Op>()) {
      if (rows_are_aligned<kPack>(element, outer)) return launch_functor<kPack>(launch, outer, inner, element);
    }
    launch_functor<1>(launch, outer, inner, element);
  });
}

}  // namespace hso::detail
