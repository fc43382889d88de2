// SPDX-License-Identifier: Apache-2.0
#include "backend/host_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "backend/process_memory.hpp"

namespace hso::detail {

namespace {

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
