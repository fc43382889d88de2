// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu_context.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backend/blas.hpp"
#include "backend/host_memory.hpp"
#include "backend/process_memory.hpp"

namespace hso::detail {

namespace {

class CalledDirectly final : public Recorded {
 public:
  void run(Span<const std::uintptr_t>, const std::function<void()>& launch) override { launch(); }
};

class Copied final : public Readback {
 public:
  void post(const double* device, Index count) override { values_.assign(device, device + count); }
  Span<const double> values() override { return values_; }

 private:
  std::vector<double> values_;
};

void copy_bytes(const void* from, void* to, Index bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

std::string cpu_description() {
  return fmt::format("{}, {} threads, OpenBLAS core {}", processor_model(), omp_get_max_threads(),
                     openblas_get_corename());
}

std::string CpuContext::description() const { return cpu_description(); }

DeviceMemory CpuContext::memory() const {
  if (memory_limit() == 0) return host_memory();
  return within_limit(host_memory(), std::max(growth_since_limit(), allocated_bytes()));  // not all is touched yet
}

void CpuContext::to_device(const void* host, void* device, Index bytes) { copy_bytes(host, device, bytes); }

void CpuContext::to_host(const void* device, void* host, Index bytes) { copy_bytes(device, host, bytes); }

std::unique_ptr<Recorded> CpuContext::make_recorded() { return std::make_unique<CalledDirectly>(); }

std::unique_ptr<Readback> CpuContext::make_readback(Index) { return std::make_unique<Copied>(); }

// Linux grants more than there is and kills the process later, so large requests are compared with what is free.
void* CpuContext::raw_allocate(Index bytes) {
  constexpr Index kAlignment = 256, kLarge = Index{64} << 20;
  if (bytes > INT64_MAX - kAlignment || (bytes >= kLarge && bytes > memory().free_bytes)) return nullptr;
  const Index rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return std::aligned_alloc(kAlignment, static_cast<std::size_t>(rounded));
}

void CpuContext::raw_release(void* memory) noexcept { std::free(memory); }

}  // namespace hso::detail
