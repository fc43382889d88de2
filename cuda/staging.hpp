// SPDX-License-Identifier: Apache-2.0
//
// Pinned host memory between pageable host memory and the device. Small uploads fill the slots of a ring, many a slot,
// so the caller's memory is free again when the call returns, and the device need not have caught up: only a slot that
// is begun anew waits for the last copy from it. Small reads go through the slots too. Large copies use the driver's
// own path and wait. One thread, one stream.
#pragma once

#include <array>

#include "handles.hpp"
#include "hsogpu/core/types.hpp"

namespace hso::detail {

class Staging {
 public:
  static constexpr Index kSlotBytes = Index{1} << 20;
  static constexpr std::size_t kSlots = 8;
  static constexpr Index kResults = 1024;

  Staging();
  void upload(cudaStream_t stream, const void* host, void* device, Index bytes);
  void read(cudaStream_t stream, const void* device, void* host, Index bytes);  ///< waits for the stream

  /// kResults doubles that a kernel may write; read them after the stream was waited for.
  double* results() { return static_cast<double*>(results_.get()); }

 private:
  struct Slot {
    PinnedBytes memory;
    EventHandle copied;  ///< the last upload from this slot left it
  };
  struct Room {
    void* memory;
    cudaEvent_t copied;  ///< to be recorded behind an upload
  };
  Room take(std::size_t bytes);

  std::array<Slot, kSlots> slots_;
  std::size_t current_ = 0, used_ = 0;  ///< the slot that is filled, and its bytes that are taken
  PinnedBytes results_;
};

}  // namespace hso::detail
