// SPDX-License-Identifier: Apache-2.0
#include "element_kernels.cuh"

namespace hso::detail {

void launch_for_each(const Launch& launch, Index outer, Index inner, const ElementOp<double>& op) {
  launch_elements<double>(launch, outer, inner, op);
}

}  // namespace hso::detail
