// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/context.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"

namespace hso {

Context::Context(const ContextOptions& options) : options_(options), arena_(std::make_unique<detail::Arena>(*this)) {}

Context::~Context() = default;

void Context::destroy_arena() noexcept { arena_.reset(); }

void* Context::allocate(Index bytes) {
  if (bytes < 0) throw InputError(fmt::format("allocate: {} bytes asked, expected a size of at least 0", bytes));
  if (bytes == 0) return nullptr;
  void* memory = raw_allocate(bytes);
  if (memory == nullptr) {
    const DeviceMemory there = this->memory();
    throw MemoryError(fmt::format("allocate: {} bytes asked on {}, {} of {} bytes are free", bytes, name(),
                                  there.free_bytes, there.total_bytes));
  }
  allocated_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, allocated_bytes_);
  ++allocation_count_;
  return memory;
}

void Context::release(void* memory, Index bytes) noexcept {
  if (memory == nullptr) return;
  raw_release(memory);
  allocated_bytes_ -= bytes;
}

template <>
detail::Ops<float>& Context::ops<float>() {
  return ops_float();
}

template <>
detail::Ops<double>& Context::ops<double>() {
  return ops_double();
}

}  // namespace hso
