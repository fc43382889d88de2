// SPDX-License-Identifier: Apache-2.0
//
// What this process has taken of the machine's memory, and a limit for what it takes.
#pragma once

#include <string>

#include "hsogpu/core/context.hpp"

namespace hso::detail {

/// The number after `key` in a file of /proc, in bytes; 0 when it is not there.
Index bytes_in(const char* path, const std::string& key);

/// Bytes of this process. 0 where the system does not say.
struct ProcessMemory {
  Index resident = 0;
  Index anonymous = 0;  ///< of them, without the pages of files, which the system drops and reads again
  Index most = 0;       ///< resident, since the process began
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

}  // namespace hso::detail
