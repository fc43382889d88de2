// SPDX-License-Identifier: Apache-2.0
//
// What the machine has: memory, cache, processor; and what this process has taken of its memory.
#pragma once

#include "hsogpu/context.hpp"

namespace hso::detail {

/// What this process may still use: the machine's available memory, or less where a container's limit says so.
DeviceMemory host_memory();

/// Resident bytes of this process. 0 where the system does not say.
struct ProcessMemory {
  Index now = 0;
  Index most = 0;  ///< since the process began
};
ProcessMemory process_memory();

/// Tells by how much the process has grown since.
class MemoryMark {
 public:
  MemoryMark() : start_(process_memory()) {}
  /// At its largest, where that was later than this mark; else as it is now.
  Index most_growth() const;

 private:
  ProcessMemory start_;
};

/// From now on no context finds more memory free than this many bytes, less what is taken of them: by the process,
/// counted from this moment, where the device is the CPU, by its buffers on a GPU. 0: no limit. For a program that is
/// told how much it may take, before it has made a context.
void limit_memory(Index bytes);
Index memory_limit();
/// Bytes by which the process has grown since limit_memory.
Index growth_since_limit();
/// `memory` where `used` bytes of the limit are taken.
DeviceMemory within_limit(DeviceMemory memory, Index used);

/// Of one core, within [256 KB, 4 MB]; 1 MB where the system does not say.
Index second_level_cache_bytes();

/// "model name" of the processor, or "unknown processor".
std::string processor_model();

}  // namespace hso::detail
