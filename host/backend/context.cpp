// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/core/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso {

Context::Context(const ContextOptions& options) : options_(options), arena_(std::make_unique<detail::Arena>(*this)) {}

Context::~Context() = default;

void Context::destroy_arena() noexcept { arena_.reset(); }

void Context::give_up_share() noexcept {
  if (--shares_ > 0) return;
  void* memory = dynamic_cast<void*>(this);  // where the whole object begins
  this->~Context();
  ::operator delete(memory);
}

namespace {

/// An address that no other living thread has.
const void* this_thread() {
  thread_local const char place = 0;
  return &place;
}

}  // namespace

void Context::enter() {
  const void* me = this_thread();
  if (user_.load(std::memory_order_relaxed) != me) {
    const void* nobody = nullptr;
    if (!user_.compare_exchange_strong(nobody, me, std::memory_order_acquire))
      throw UsageError(fmt::format(
          "context {}: used from two threads at once, expected one at a time; give each thread a context", name()));
  }
  ++depth_;
}

void Context::leave() noexcept {
  if (--depth_ == 0) user_.store(nullptr, std::memory_order_release);
}

void detail::require_room(Index count, Index size) {
  if (count > size) throw InputError(fmt::format("Buffer::upload: {} numbers, expected at most {}", count, size));
}

void* Context::allocate(Index bytes) {
  if (bytes < 0) throw InputError(fmt::format("allocate: {} bytes asked, expected a size of at least 0", bytes));
  if (bytes == 0) return nullptr;
  const detail::InUse in_use(*this);
  void* memory = raw_allocate(bytes);
  if (memory == nullptr) {
    const DeviceMemory there = this->memory();
    throw MemoryError(fmt::format("allocate: {} bytes asked on {}, {} of {} bytes are free", bytes, name(),
                                  there.free_bytes, there.total_bytes));
  }
  const Index live = allocated_bytes_.fetch_add(bytes) + bytes;
  peak_bytes_ = std::max(peak_bytes_, live);
  ++allocation_count_;
  return memory;
}

/// The end of a buffer may come in any thread, whoever uses the context.
void Context::release(void* memory, Index bytes) noexcept {
  if (memory == nullptr) return;
  raw_release(memory);
  allocated_bytes_.fetch_sub(bytes);
}

template <>
detail::Ops<float>& Context::ops<float>() {
  const detail::InUse in_use(*this);
  return ops_float();
}

template <>
detail::Ops<double>& Context::ops<double>() {
  const detail::InUse in_use(*this);
  return ops_double();
}

}  // namespace hso
