// SPDX-License-Identifier: Apache-2.0
//
// Launch sequences as CUDA graphs. A sequence is launched plainly the first time its key is seen (modules load, cuBLAS
// and the arena warm up), recorded the second time, replayed from then on. One that cannot be recorded is launched
// plainly for ever. What a sequence throws comes out of run(), whatever it was doing. The arena's position is part of
// the key: recorded launches hold the addresses of their scratch. The least recently used executables are dropped above
// kExecutables, and the least recently seen of the keys without one above kWaiting: keys that come once never drive out
// what is replayed.
#pragma once

#include <vector>

#include "handles.hpp"
#include "hsogpu/core/context.hpp"

namespace hso::detail {

class CudaContext;

class CudaRecorded final : public Recorded {
 public:
  static constexpr std::ptrdiff_t kExecutables = 64, kWaiting = 16;

  explicit CudaRecorded(CudaContext& context);
  ~CudaRecorded() override;
  bool replays() const override;
  void run(Span<const std::uintptr_t> key, const std::function<void()>& launch) override;

 private:
  enum class State { fresh, launched, ready, refused };
  struct Entry {
    std::vector<std::uintptr_t> key;
    std::uintptr_t arena_position;
    State state;
    GraphExecHandle executable;
  };
  Entry& entry_for(Span<const std::uintptr_t> key, std::uintptr_t arena_position);
  /// Drops the last of the entries with or without an executable when there are more than `most`.
  void drop_above(std::ptrdiff_t most, bool executable);
  void record(Entry& entry, const std::function<void()>& launch);

  ContextShare share_;  ///< first: the last to go
  CudaContext& context_;
  std::vector<Entry> entries_;  ///< the most recently used first
};

}  // namespace hso::detail
