// SPDX-License-Identifier: Apache-2.0
#include "backend/process_memory.hpp"

#include <algorithm>
#include <fstream>
#include <string>

namespace hso::detail {

namespace {

struct Limit {
  Index bytes = 0;
  Index anonymous_before = 0;
};

/// Of the process: memory belongs to it, not to one of its contexts.
Limit& limit() {
  static Limit of_process;
  return of_process;
}

}  // namespace

Index bytes_in(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    Index kilobytes = 0;
    if (word == key && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

ProcessMemory process_memory() {
  constexpr const char* kStatus = "/proc/self/status";
  return {bytes_in(kStatus, "VmRSS:"), bytes_in(kStatus, "RssAnon:"), bytes_in(kStatus, "VmHWM:")};
}

Index MemoryMark::most_growth() const {
  const ProcessMemory memory = process_memory();
  const Index since = memory.most > start_.most ? memory.most - start_.resident : 0;
  return std::max({since, memory.anonymous - start_.anonymous, Index{0}});
}

void limit_memory(Index bytes) { limit() = {bytes, process_memory().anonymous}; }

Index memory_limit() { return limit().bytes; }

Index growth_since_limit() { return std::max<Index>(process_memory().anonymous - limit().anonymous_before, 0); }

DeviceMemory within_limit(DeviceMemory memory, Index used) {
  if (limit().bytes == 0) return memory;
  memory.total_bytes = std::min(memory.total_bytes, limit().bytes);
  memory.free_bytes = std::min(memory.free_bytes, std::max<Index>(limit().bytes - used, 0));
  return memory;
}

}  // namespace hso::detail
