// SPDX-License-Identifier: Apache-2.0
//
// A `Context` owns one device: its streams, library handles, memory accounting and scratch arena. It is created eagerly
// and bound once.
// Lifetime: what was made with a context may outlive it. Every `Buffer` has a share in its context: where the context
// comes from Context::create, the end of its unique_ptr gives up the creator's share, and the device is let go with the
// last buffer.
// Threads: one at a time. The context may move between threads; calls that overlap are refused. Buffers end in any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

namespace detail {
template <class T>
class Ops;
class Arena;
class InUse;
class ContextShare;
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
  /// Called in place of the destructor by `delete`: gives up the creator's share.
  static void operator delete(Context* context, std::destroying_delete_t) { context->give_up_share(); }

  virtual bool is_cuda() const = 0;
  virtual std::string name() const = 0;         ///< "cpu" or "cuda:0"
  virtual std::string description() const = 0;  ///< the model of the device and its library core type
  virtual DeviceMemory memory() const = 0;
  virtual void synchronize() = 0;

  /// Device memory, 256-byte aligned, not initialised. MemoryError says how much was asked and how much is there.
  void* allocate(Index bytes);
  void release(void* memory, Index bytes) noexcept;
  Index allocated_bytes() const { return allocated_bytes_; }    ///< live; buffers may end in any thread
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
  friend class detail::InUse;
  friend class detail::ContextShare;
  void give_up_share() noexcept;
  void enter();
  void leave() noexcept;

  ContextOptions options_;
  std::atomic<Index> shares_{1};
  std::atomic<const void*> user_{nullptr};  ///< names the thread that is inside a call
  Index depth_ = 0;                         ///< of its nested calls
  std::unique_ptr<detail::Arena> arena_;
  std::atomic<Index> allocated_bytes_{0};
  Index peak_bytes_ = 0, allocation_count_ = 0;
};

namespace detail {

/// While it lives the calling thread uses the context; nests. UsageError while another thread does.
class InUse {
 public:
  explicit InUse(Context& context) : context_(context) { context.enter(); }
  ~InUse() { context_.leave(); }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  Context& context_;
};

/// A share in a context, or in none.
class ContextShare {
 public:
  ContextShare() = default;
  explicit ContextShare(Context& context) noexcept : context_(&context) { ++context.shares_; }
  ContextShare(const ContextShare& other) noexcept : context_(other.context_) {
    if (context_ != nullptr) ++context_->shares_;
  }
  ContextShare(ContextShare&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  ContextShare& operator=(ContextShare other) noexcept {
    std::swap(context_, other.context_);
    return *this;
  }
  ~ContextShare() {
    if (context_ != nullptr) context_->give_up_share();
  }
  Context* get() const { return context_; }

 private:
  Context* context_ = nullptr;
};

/// InputError unless `count` numbers fit a buffer of `size`.
void require_room(Index count, Index size);

}  // namespace detail

template <>
detail::Ops<float>& Context::ops<float>();
template <>
detail::Ops<double>& Context::ops<double>();

/// One line for each device this build can see, and why CUDA is not among them when it is not.
std::vector<std::string> list_devices();
/// "libhsogpu 0.2.0", OpenBLAS with its core type, ...: one line for each library. Loads cuBLAS and cuSOLVER.
std::vector<std::string> list_libraries();

/// Owns n elements of device memory, and a share in the context. Without a context it is empty.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Context& context, Index n) : context_(context), size_(n) {
    data_ = static_cast<T*>(context.allocate(checked_multiply(n, static_cast<Index>(sizeof(T)))));
  }
  Buffer(Context& context, Span<const T> host) : Buffer(context, static_cast<Index>(host.size())) { upload(host); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) context_.get()->release(data_, size_ * static_cast<Index>(sizeof(T)));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }
  View<T> view() { return vector_view(data_, size_); }
  View<const T> view() const { return vector_view<const T>(data_, size_); }
  /// Overwrites the first host.size() elements. InputError for more than there are.
  void upload(Span<const T> host) {
    detail::require_room(static_cast<Index>(host.size()), size_);
    if (host.empty()) return;
    const detail::InUse in_use(*context_.get());
    context_.get()->to_device(host.data(), data_, static_cast<Index>(host.size()) * static_cast<Index>(sizeof(T)));
  }
  std::vector<T> download() const {
    std::vector<T> host(static_cast<std::size_t>(size_));
    if (size_ == 0) return host;
    const detail::InUse in_use(*context_.get());
    context_.get()->to_host(data_, host.data(), size_ * static_cast<Index>(sizeof(T)));
    return host;
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  detail::ContextShare context_;  ///< first: the last to go
  T* data_ = nullptr;
  Index size_ = 0;
};

}  // namespace hso
