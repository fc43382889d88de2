// SPDX-License-Identifier: Apache-2.0
//
// A `Context` owns one device: its streams, library handles, memory accounting and scratch arena.
// It is created eagerly, bound once, outlives everything that was made with it, and is used from one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/types.hpp"

namespace hso {

namespace detail {
template <class T>
class Ops;
class Arena;
}  // namespace detail

struct DeviceMemory {
  Index free_bytes = 0;
  Index total_bytes = 0;
};

struct ContextOptions {
  bool tf32 = false;    ///< CUDA: allow TF32 in float32 GEMMs (10-bit mantissa)
  bool poison = false;  ///< tests: released scratch is overwritten with NaN bytes
  /// CPU: the same bits whatever the number of threads. Products are cut into tiles by their size alone, and
  /// factorisations run on one thread. CUDA computes the same bits on one kind of GPU in any case.
  bool deterministic = false;
  /// Tests: every piece of scratch is an allocation of its own, of exactly the bytes asked for, so that a tool that
  /// checks accesses knows where it ends.
  bool exact_scratch = false;
};

/// A launch sequence that is the same every time for one key. CUDA records it once and replays it as a CUDA graph;
/// the CPU calls it. The key must hold everything the sequence depends on, addresses included; the sequence must not
/// read results on the host, allocate, or call eigensolvers and factorisations.
class Recorded {
 public:
  virtual ~Recorded() = default;
  /// Whether a key seen before is replayed: then it pays to keep addresses the same.
  virtual bool replays() const { return false; }
  virtual void run(Span<const std::uintptr_t> key, const std::function<void()>& launch) = 0;
};

/// Numbers that come back while the device goes on working: a step or an iteration later the host looks at what was
/// posted, and seldom finds that it must wait. One post at a time.
class Readback {
 public:
  virtual ~Readback() = default;
  /// Queues a copy of `count` numbers, at most the capacity, behind everything queued before; later work may overwrite
  /// them. Not part of recorded sequences.
  virtual void post(const double* device, Index count) = 0;
  /// What was posted last, after waiting for that copy and nothing behind it. Valid until the next post.
  virtual Span<const double> values() = 0;
};

class Context {
 public:
  /// "auto": the first CUDA device that this build has code for, else the CPU. "cpu". "cuda" (cuda:0) or "cuda:N".
  /// DeviceError when that device or the CUDA build is missing, UsageError for other words.
  static std::unique_ptr<Context> create(std::string_view device = "auto", const ContextOptions& options = {});

  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  virtual ~Context();

  virtual bool is_cuda() const = 0;
  virtual std::string name() const = 0;         ///< "cpu" or "cuda:0"
  virtual std::string description() const = 0;  ///< the model of the device and its library core type
  virtual DeviceMemory memory() const = 0;
  virtual void synchronize() = 0;

  /// Device memory, 256-byte aligned, not initialised. MemoryError says how much was asked and how much is there.
  void* allocate(Index bytes);
  void release(void* memory, Index bytes) noexcept;
  Index allocated_bytes() const { return allocated_bytes_; }    ///< live
  Index peak_bytes() const { return peak_bytes_; }              ///< the most that was live at once
  Index allocation_count() const { return allocation_count_; }  ///< ever made: flat in a loop that allocates nothing

  virtual void to_device(const void* host, void* device, Index bytes) = 0;
  virtual void to_host(const void* device, void* host, Index bytes) = 0;  ///< waits for the copy
  virtual std::unique_ptr<Recorded> make_recorded() = 0;
  virtual std::unique_ptr<Readback> make_readback(Index capacity) = 0;

  template <class T>
  detail::Ops<T>& ops();
  detail::Arena& arena() { return *arena_; }
  const ContextOptions& options() const { return options_; }

 protected:
  explicit Context(const ContextOptions& options);
  void destroy_arena() noexcept;                ///< derived destructors call this while their device is still alive
  virtual void* raw_allocate(Index bytes) = 0;  ///< nullptr when there is not enough
  virtual void raw_release(void* memory) noexcept = 0;
  virtual detail::Ops<float>& ops_float() = 0;
  virtual detail::Ops<double>& ops_double() = 0;

 private:
  ContextOptions options_;
  std::unique_ptr<detail::Arena> arena_;
  Index allocated_bytes_ = 0, peak_bytes_ = 0;
  Index allocation_count_ = 0;
};

template <>
detail::Ops<float>& Context::ops<float>();
template <>
detail::Ops<double>& Context::ops<double>();

/// One line for each device this build can see, and why CUDA is not among them when it is not.
std::vector<std::string> list_devices();
/// "libhsogpu 0.1.0, CPU: OpenBLAS ...", one line for each library.
std::vector<std::string> list_libraries();

/// Owns n elements of device memory.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Context& context, Index n) : context_(&context), size_(n) {
    data_ = static_cast<T*>(context.allocate(checked_multiply(n, static_cast<Index>(sizeof(T)))));
  }
  Buffer(Context& context, Span<const T> host) : Buffer(context, static_cast<Index>(host.size())) { upload(host); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) context_->release(data_, size_ * static_cast<Index>(sizeof(T)));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }
  View<T> view() { return vector_view(data_, size_); }
  View<const T> view() const { return vector_view<const T>(data_, size_); }
  void upload(Span<const T> host) {
    context_->to_device(host.data(), data_, static_cast<Index>(host.size()) * static_cast<Index>(sizeof(T)));
  }
  std::vector<T> download() const {
    std::vector<T> host(static_cast<std::size_t>(size_));
    context_->to_host(data_, host.data(), size_ * static_cast<Index>(sizeof(T)));
    return host;
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  Context* context_ = nullptr;
  T* data_ = nullptr;
  Index size_ = 0;
};

}  // namespace hso
