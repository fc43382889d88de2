// SPDX-License-Identifier: Apache-2.0
#include "readback.hpp"

#include <fmt/format.h>

#include "cuda_context.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::detail {

CudaReadback::CudaReadback(CudaContext& context, Index capacity)
    : share_(context),
      context_(context),
      capacity_(capacity),
      memory_(pinned_memory(checked_multiply(capacity, static_cast<Index>(sizeof(double))))) {
  HSO_CHECK(cudaEventCreateWithFlags(copied_.fill(), cudaEventDisableTiming));
}

CudaReadback::~CudaReadback() {
  static_cast<void>(cudaEventSynchronize(copied_.get()));  // a copy into the memory may still be under way
}

void CudaReadback::post(const double* device, Index count) {
  context_.require_not_capturing("Readback::post");
  if (count > capacity_)
    throw UsageError(fmt::format("Readback::post: {} numbers, expected at most {}", count, capacity_));
  const auto stream = context_.stream();
  HSO_CHECK(cudaMemcpyAsync(memory_.get(), device, static_cast<std::size_t>(count) * sizeof(double),
                            cudaMemcpyDeviceToHost, stream));
  HSO_CHECK(cudaEventRecord(copied_.get(), stream));
  posted_ = count;
}

Span<const double> CudaReadback::values() {
  HSO_CHECK(cudaEventSynchronize(copied_.get()));
  return {static_cast<const double*>(memory_.get()), static_cast<std::size_t>(posted_)};
}

}  // namespace hso::detail
