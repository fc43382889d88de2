// SPDX-License-Identifier: Apache-2.0
#include "access.hpp"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "device.hpp"
#include "fibers.hpp"
#include "memory.hpp"

namespace hso::detail {
extern unsigned char shared_bytes[];
}

namespace hso::emulated {

namespace {

constexpr std::uintptr_t kWord = 4;

/// Who touched a word in this launch: the last writer, the last reader, and whether other readers came before.
struct Word {
  std::uint32_t before = 0;
  bool read = false, written = false, many_readers = false, many_blocks = false;
  ThreadPlace reader{}, writer{};
};

struct Launch {
  std::string kernel;
  std::unordered_map<std::uintptr_t, Word> words, shared;  ///< of device memory, and of this block's shared memory
  ThreadPlace place{};
};

bool tracking = false;
Launch now;

/// Counts bytes once a launch without a record of who touched them: the number of the launch that last read, or wrote,
/// a word of device memory.
class Stamps {
 public:
  Stamps() : stamps_(reserve_zeros(heap_bytes / kWord * sizeof(std::uint32_t))) {}
  void touch(std::uintptr_t address, std::size_t bytes) {
    for (std::uintptr_t at = address / kWord * kWord; at < address + bytes; at += kWord) {
      std::uint32_t& stamp = stamps_[(at - heap_begin) / kWord];
      counted_ += stamp == launch_ ? 0 : static_cast<std::int64_t>(kWord);
      stamp = launch_;
    }
  }
  void begin_launch() { ++launch_; }
  /// Gives the host's memory back: of the pages that belong to these bytes alone.
  void forget(std::uintptr_t address, std::size_t bytes) {
    constexpr std::uintptr_t kPage = 4096;
    const auto at = [&](std::uintptr_t a) {
      return reinterpret_cast<std::uintptr_t>(stamps_ + (a - heap_begin) / kWord);
    };
    const std::uintptr_t first = (at(address) + kPage - 1) / kPage * kPage;
    const std::uintptr_t last = at(address + bytes) / kPage * kPage;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
  std::int64_t take_count() { return std::exchange(counted_, 0); }

 private:
  std::uint32_t* stamps_;
  std::uint32_t launch_ = 0;
  std::int64_t counted_ = 0;
};

Stamps& stamps(bool of_writes) {
  static Stamps reads, writes;
  return of_writes ? writes : reads;
}
bool counting = false;

bool same(const ThreadPlace& a, const ThreadPlace& b) { return a.block == b.block && a.thread == b.thread; }
bool is_ordered(const ThreadPlace& a, const ThreadPlace& b) {
  return same(a, b) || (a.block == b.block && a.epoch != b.epoch);
}

[[noreturn]] void race(const ThreadPlace& a, const ThreadPlace& b) {
  violation(fmt::format("{}: thread {} of block {} and thread {} of block {} race for a word", now.kernel, a.thread,
                        a.block, b.thread, b.block));
}

void track_read(Word& w, const ThreadPlace& me) {
  if (w.written && !is_ordered(w.writer, me)) race(w.writer, me);
  if (w.read && !same(w.reader, me)) {
    w.many_blocks |= w.reader.block != me.block;
    w.many_readers = w.reader.epoch == me.epoch || w.many_blocks;
  }
  w.read = true;
  w.reader = me;
}

void track_write(Word& w, const ThreadPlace& me) {
  if (w.written && !is_ordered(w.writer, me)) race(w.writer, me);
  if (w.read && (!is_ordered(w.reader, me) || w.many_blocks || (w.many_readers && w.reader.epoch == me.epoch)))
    race(w.reader, me);
  w.written = true;
  w.writer = me;
}

ThreadPlace place() {
  ThreadPlace me = now.place;
  if (blockDim.x > 0 && barriers_running()) me = {blockIdx.x, threadIdx.x, barriers_passed()};
  return me;
}

bool is_shared(std::uintptr_t address) {
  return address - reinterpret_cast<std::uintptr_t>(detail::shared_bytes) < (std::uintptr_t{48} << 10);
}

void track(std::uintptr_t address, std::size_t bytes, bool write) {
  const ThreadPlace me = place();
  auto& words = is_shared(address) ? now.shared : now.words;
  for (std::uintptr_t at = address / kWord * kWord; at < address + bytes; at += kWord) {
    const auto [entry, fresh] = words.try_emplace(at);
    Word& w = entry->second;
    if (fresh) std::memcpy(&w.before, reinterpret_cast<const void*>(at), kWord);
    write ? track_write(w, me) : track_read(w, me);
  }
}

inline void touch(const void* memory, std::size_t bytes, bool write) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const bool device = address - heap_begin < heap_bytes;
  if (device) require_touchable(static_cast<const char*>(memory), bytes);
  if (counting && device) stamps(write).touch(address, bytes);
  if (tracking && (device || is_shared(address))) track(address, bytes, write);
}

std::vector<Change> changes() {
  std::vector<Change> all;
  for (const auto& [address, word] : now.words) {
    if (!word.written) continue;
    std::uint32_t value = 0;
    std::memcpy(&value, reinterpret_cast<const void*>(address), kWord);
    all.push_back({address, value});
  }
  std::ranges::sort(all, {}, &Change::address);
  return all;
}

}  // namespace

void start_counting() {
  stamps(false).begin_launch();
  stamps(true).begin_launch();
  counting = true;
}
void stop_counting() {
  counting = false;
  book().kernel_bytes += stamps(false).take_count() + stamps(true).take_count();
}

void forget_counted(const char* begin, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  stamps(false).forget(address, bytes);
  stamps(true).forget(address, bytes);
}

void start_tracking(const std::string& kernel) {
  now = {kernel, {}, {}, {}};
  tracking = true;
}
bool is_tracking() { return tracking; }
void forget_shared() { now.shared.clear(); }
void set_place(const ThreadPlace& place) { now.place = place; }

std::vector<Change> undo_changes() {
  const std::vector<Change> all = changes();
  for (const Change& c : all) std::memcpy(reinterpret_cast<void*>(c.address), &now.words.at(c.address).before, kWord);
  now.words.clear();
  now.shared.clear();
  return all;
}

std::vector<Change> stop_tracking() {
  tracking = false;
  return changes();
}

}  // namespace hso::emulated

using hso::emulated::touch;

#define HSO_TOUCHES(bytes)                                               \
  void __tsan_read##bytes(void* p) { touch(p, bytes, false); }           \
  void __tsan_write##bytes(void* p) { touch(p, bytes, true); }           \
  void __tsan_unaligned_read##bytes(void* p) { touch(p, bytes, false); } \
  void __tsan_unaligned_write##bytes(void* p) { touch(p, bytes, true); } \
  void __tsan_volatile_read##bytes(void* p) { touch(p, bytes, false); }  \
  void __tsan_volatile_write##bytes(void* p) { touch(p, bytes, true); }

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_read_range(void* p, unsigned long bytes) { touch(p, bytes, false); }
void __tsan_write_range(void* p, unsigned long bytes) { touch(p, bytes, true); }
HSO_TOUCHES(1)
HSO_TOUCHES(2)
HSO_TOUCHES(4)
HSO_TOUCHES(8)
HSO_TOUCHES(16)
}

#if !defined(__SANITIZE_ADDRESS__)
namespace {
/// What the compiler says of an access whose address is not a multiple of its type's alignment.
struct Misaligned {
  const char* file;
  std::uint32_t line, column;
  const void* type;
  unsigned char log_alignment, kind;
};
}  // namespace

/// Weak: where the undefined sanitizer is linked, its own speaks.
extern "C" __attribute__((weak)) void __ubsan_handle_type_mismatch_v1_abort(const Misaligned* where, std::uintptr_t) {
  hso::emulated::violation(fmt::format("{}:{}: an access at a misaligned address: not a multiple of {}", where->file,
                                       where->line, 1u << where->log_alignment));
}
#endif
