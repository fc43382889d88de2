// SPDX-License-Identifier: Apache-2.0
#include "backend/host_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace hso::detail {

namespace {

/// The number after `key` in a file of /proc, in bytes; 0 when it is not there.
Index bytes_in(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    Index kilobytes = 0;
    if (word == key && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

struct Limit {
  Index bytes = 0;
  Index resident_before = 0;
};

/// Of the process: memory belongs to it, not to one of its contexts.
Limit& limit() {
  static Limit of_process;
  return of_process;
}

/// The number in a one-line file, or `otherwise` ("max", or no such file).
Index number_in(const char* path, Index otherwise) {
  std::ifstream file(path);
  Index value = 0;
  return file >> value ? value : otherwise;
}

}  // namespace

DeviceMemory host_memory() {
  DeviceMemory memory{bytes_in("/proc/meminfo", "MemAvailable:"), bytes_in("/proc/meminfo", "MemTotal:")};
  const Index limit = number_in("/sys/fs/cgroup/memory.max", memory.total_bytes);
  const Index used = number_in("/sys/fs/cgroup/memory.current", 0);
  if (limit < memory.total_bytes) {
    memory.total_bytes = limit;
    memory.free_bytes = std::min(memory.free_bytes, std::max<Index>(limit - used, 0));
  }
  return memory;
}

ProcessMemory process_memory() {
  constexpr const char* kStatus = "/proc/self/status";
  return {bytes_in(kStatus, "VmRSS:"), bytes_in(kStatus, "VmHWM:")};
}

Index MemoryMark::most_growth() const {
  const ProcessMemory memory = process_memory();
  const Index reached = memory.most > start_.most ? memory.most : memory.now;
  return std::max<Index>(reached - start_.now, 0);
}

void limit_memory(Index bytes) { limit() = {bytes, process_memory().now}; }

Index memory_limit() { return limit().bytes; }

Index growth_since_limit() { return std::max<Index>(process_memory().now - limit().resident_before, 0); }

DeviceMemory within_limit(DeviceMemory memory, Index used) {
  if (limit().bytes == 0) return memory;
  memory.total_bytes = std::min(memory.total_bytes, limit().bytes);
  memory.free_bytes = std::min(memory.free_bytes, std::max<Index>(limit().bytes - used, 0));
  return memory;
}

Index second_level_cache_bytes() {
  const long said = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  return said > 0 ? std::clamp<Index>(said, Index{1} << 18, Index{1} << 22) : Index{1} << 20;
}

std::string processor_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace hso::detail
