// SPDX-License-Identifier: Apache-2.0
#include "element_kernels.cuh"

#include "kernel_architectures.hpp"

namespace hso::detail {

void launch_for_each(const Launch& launch, Index outer, Index inner, const ElementOp<float>& op) {
  launch_elements<float>(launch, outer, inner, op);
}

bool has_code_for_current_device() {
  cudaFuncAttributes attributes{};
  if (cudaFuncGetAttributes(&attributes, for_each_kernel<Fill<float>, 1>) == cudaSuccess) return true;
  static_cast<void>(cudaGetLastError());
  return false;
}

std::span<const int> kernel_architectures() {
  static constexpr int kArchitectures[] = {__CUDA_ARCH_LIST__};
  return kArchitectures;
}

}  // namespace hso::detail
