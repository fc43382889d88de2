// SPDX-License-Identifier: Apache-2.0
//
// Device numbers that the host reads late: copies into pinned memory, each with an event behind it.
#pragma once

#include "handles.hpp"
#include "hsogpu/core/context.hpp"

namespace hso::detail {

class CudaContext;

/// Pinned memory with an event behind the copy into it.
class CudaReadback final : public Readback {
 public:
  CudaReadback(CudaContext& context, Index capacity);
  ~CudaReadback() override;
  void post(const double* device, Index count) override;
  Span<const double> values() override;

 private:
  ContextShare share_;  ///< first: the last to go
  CudaContext& context_;
  Index capacity_, posted_ = 0;
  PinnedBytes memory_;
  EventHandle copied_;
};

}  // namespace hso::detail
