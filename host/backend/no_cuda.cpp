// SPDX-License-Identifier: Apache-2.0
//
// What a build without CUDA links instead of cuda/: the same factory, which says why there is no device.
#include "backend/cuda_factory.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::detail {

std::unique_ptr<Context> create_cuda_context(int, const ContextOptions&) {
  throw DeviceError("device cuda: this libhsogpu was built without CUDA (configure with -DHSO_CUDA=ON)");
}

CudaPresence cuda_presence() { return {.devices = {}, .first_usable = 0, .reason = "built without CUDA"}; }

std::vector<std::string> cuda_libraries(bool) { return {}; }

}  // namespace hso::detail
