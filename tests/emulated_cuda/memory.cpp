// SPDX-License-Identifier: Apache-2.0
//
// Device memory is one range of addresses, closed to the host unless queued work runs. Every block is followed by at
// least 256 bytes that belong to nobody; these and all fresh and released memory hold 0xFF, which is NaN as a number
// and a wild index. Released blocks wait before they are used again, and must not have changed by then.
#include "memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>

#include "access.hpp"
#include "device.hpp"

namespace hso::emulated {

namespace {

constexpr std::size_t kHeapBytes = std::size_t{128} << 30;
constexpr std::size_t kGuard = 256;
constexpr std::size_t kFirst = 4096;                   ///< bytes before the first block, which belong to nobody either
constexpr std::size_t kFilled = std::size_t{1} << 20;  ///< larger blocks are filled at both ends alone
constexpr std::size_t kEdge = std::size_t{64} << 10;
constexpr std::size_t kWaiting = 256;  ///< released blocks that are not used again yet

std::size_t rounded(std::size_t bytes) { return (bytes + kGranule - 1) / kGranule * kGranule + kGuard; }

char* reserve(std::size_t bytes, int protection) {
  void* memory = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) violation("the host has no addresses left for the emulated device's memory");
  return static_cast<char*>(memory);
}

void fill(char* from, std::size_t bytes) {
  if (bytes <= kFilled) {
    std::memset(from, 0xFF, bytes);
    return;
  }
  std::memset(from, 0xFF, kEdge);
  std::memset(from + bytes - kEdge, 0xFF, kEdge);
}

bool is_filled(const char* from, std::size_t bytes) {
  const auto ff = [](const char* at, std::size_t n) {
    return std::all_of(at, at + n, [](char c) { return c == '\xFF'; });
  };
  return bytes <= kFilled ? ff(from, bytes) : ff(from, kEdge) && ff(from + bytes - kEdge, kEdge);
}

void on_fault(int signal, siginfo_t* info, void*);

class Heap {
 public:
  Heap() : begin_(reserve(kHeapBytes, PROT_NONE)), end_(begin_ + kFirst) {
    block_of_ = reserve_zeros(kHeapBytes / kGranule * sizeof(std::uint32_t));
    heap_begin = reinterpret_cast<std::uintptr_t>(begin_);
    heap_bytes = kHeapBytes;
    madvise(begin_, kHeapBytes, MADV_HUGEPAGE);
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
  }

  char* take(std::size_t bytes, int device, bool pooled) {
    if (used_[device] + bytes > device_total()) return nullptr;
    const std::size_t size = rounded(bytes);
    char* at = reuse(size);
    const Open open;
    if (at == nullptr) {
      if (static_cast<std::size_t>(end_ - begin_) + size > kHeapBytes) return nullptr;
      at = end_;
      end_ += size;
      widen();
      fill(at, size);
    }
    number({at, bytes, Place::device, device, pooled, true});
    used_[device] += bytes;
    ++live_;
    return at;
  }

  void release(const Block& block) {
    const Open open;
    const std::size_t size = rounded(block.bytes);
    require_guard(block);
    if (size > kFilled) {
      madvise(block.begin + kEdge, (size - 2 * kEdge) / 4096 * 4096, MADV_DONTNEED);
      forget_counted(block.begin, size);
    }
    fill(block.begin, size);
    blocks_[index(block.begin)].live = false;
    used_[block.device] -= block.bytes;
    --live_;
    waiting_.push_back({block.begin, size});
    if (waiting_.size() > kWaiting) retire();
  }

  const Block* find(const char* at) const {
    if (at < begin_ || at >= end_) return nullptr;
    const Block& block = blocks_[index(at)];
    return block.live && at < block.begin + block.bytes ? &block : nullptr;
  }
  bool holds(const void* at) const { return at >= begin_ && at < begin_ + kHeapBytes; }

  void open() const {
    if (depth_++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  void close() const {
    if (--depth_ == 0) protect(PROT_NONE);
  }
  bool is_open() const { return depth_ > 0; }
  std::size_t used(int device) const {
    const auto found = used_.find(device);
    return found == used_.end() ? 0 : found->second;
  }
  std::int64_t live() const { return live_; }
  std::string describe(const void* at) const {
    const auto* address = static_cast<const char*>(at);
    if (address >= end_) return "device memory that was never given out";
    const Block& b = blocks_[index(address)];
    return fmt::format("byte {} of a {} block of {} bytes", address - b.begin, b.live ? "live" : "released", b.bytes);
  }

 private:
  std::uint32_t index(const char* at) const { return block_of_[static_cast<std::size_t>(at - begin_) / kGranule]; }
  void number(const Block& block) {
    const auto id = static_cast<std::uint32_t>(blocks_.size());
    blocks_.push_back(block);
    const std::size_t first = static_cast<std::size_t>(block.begin - begin_) / kGranule;
    std::fill_n(block_of_ + first, rounded(block.bytes) / kGranule, id);
  }
  char* reuse(std::size_t size) {
    const auto found = free_.find(size);
    if (found == free_.end()) return nullptr;
    char* at = found->second;
    free_.erase(found);
    return at;
  }
  void retire() {
    const auto [at, size] = waiting_.front();
    waiting_.pop_front();
    if (!is_filled(at, size)) violation(fmt::format("released memory was written to: {}", describe(at)));
    free_.emplace(size, at);
  }
  void require_guard(const Block& block) const {
    const char* end = block.begin + block.bytes;
    if (!is_filled(end, rounded(block.bytes) - block.bytes))
      violation(fmt::format("bytes behind a block of {} bytes were written to", block.bytes));
  }
  /// The range that open() and close() protect, in steps of a huge page.
  void widen() const {
    constexpr std::size_t kStep = std::size_t{2} << 20;
    const std::size_t bytes = (static_cast<std::size_t>(end_ - begin_) + kStep - 1) / kStep * kStep;
    if (bytes == protected_) return;
    protected_ = bytes;
    protect(PROT_READ | PROT_WRITE);
  }
  void protect(int protection) const {
    static const char* const word = std::getenv("HSO_EMULATED_PROTECT");
    static const bool never = word != nullptr && std::string_view(word) == "0";
    if (never && protection == PROT_NONE) return;
    mprotect(begin_, protected_, protection);
  }

  char* begin_;
  char* end_;
  std::uint32_t* block_of_;
  std::vector<Block> blocks_{Block{}};
  std::map<int, std::size_t> used_;
  std::deque<std::pair<char*, std::size_t>> waiting_;
  std::multimap<std::size_t, char*> free_;
  std::int64_t live_ = 0;
  mutable int depth_ = 0;
  mutable std::size_t protected_ = 0;
};

Heap& heap() {
  static Heap& instance = *new Heap;  // never destroyed: contexts of static duration may still hold memory
  return instance;
}

std::map<const char*, Block>& pinned() {
  static auto& blocks = *new std::map<const char*, Block>;
  return blocks;
}

const Block* find_pinned(const char* at) {
  auto next = pinned().upper_bound(at);
  if (next == pinned().begin()) return nullptr;
  const Block& block = std::prev(next)->second;
  return at < block.begin + block.bytes ? &block : nullptr;
}

void on_fault(int signal, siginfo_t* info, void*) {
  if (heap().holds(info->si_addr) && !heap().is_open())
    violation("the host touched device memory outside of copies: " + heap().describe(info->si_addr));
  if (heap().holds(info->si_addr)) violation("queued work touched " + heap().describe(info->si_addr));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

/// At the end of a process nothing may be left.
struct AtExit {
  ~AtExit() {
    const Living left = living();
    if (left == Living{}) return;
    fmt::print(stderr, "emulated device: at exit {} blocks of device memory, {} of pinned memory and {} handles left\n",
               left.device_blocks, left.pinned_blocks, left.handles);
    _exit(99);
  }
} at_exit;

}  // namespace

std::uintptr_t heap_begin = 0;
std::size_t heap_bytes = 0;

std::uint32_t* reserve_zeros(std::size_t bytes) {
  return reinterpret_cast<std::uint32_t*>(reserve(bytes, PROT_READ | PROT_WRITE));
}

void violation(const std::string& message) {
  fmt::print(stderr, "emulated device: {}\n", message);
  std::fflush(stderr);
  std::abort();
}

std::recursive_mutex& lock() {
  static auto& mutex = *new std::recursive_mutex;
  return mutex;
}

void* take(Place place, std::size_t bytes, bool pooled) {
  if (place == Place::device) return heap().take(bytes, current_device(), pooled);
  auto* memory = static_cast<char*>(std::aligned_alloc(kGranule, rounded(bytes)));
  fill(memory, rounded(bytes));
  pinned()[memory] = {memory, bytes, Place::pinned, 0, false, true};
  return memory;
}

void give_back(void* memory, Place place, bool pooled) {
  const Block* found = find(memory);
  const char* kind = place == Place::device ? "device" : "pinned";
  if (found == nullptr || found->begin != memory || found->place != place)
    violation(fmt::format("{} is not the beginning of a live block of {} memory", memory, kind));
  if (found->pooled != pooled) violation("a block went back through the call that did not give it out");
  const Block block = *found;
  if (place == Place::device) return heap().release(block);
  if (!is_filled(block.begin + block.bytes, rounded(block.bytes) - block.bytes))
    violation(fmt::format("bytes behind a pinned block of {} bytes were written to", block.bytes));
  fill(block.begin, block.bytes);
  pinned().erase(block.begin);
  std::free(block.begin);
}

const Block* find(const void* address) {
  const auto* at = static_cast<const char*>(address);
  return heap().holds(at) ? heap().find(at) : find_pinned(at);
}

void require_inside(const void* address, std::size_t bytes, Place place, const std::string& what) {
  if (bytes == 0) return;
  const Block* block = find(address);
  const char* kind = place == Place::device ? "device" : "pinned";
  if (block == nullptr || block->place != place) violation(fmt::format("{}: {} is no {} memory", what, address, kind));
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - block->begin);
  if (bytes > block->bytes - offset)
    violation(fmt::format("{}: bytes {} to {} of a block of {}", what, offset, offset + bytes, block->bytes));
}

void require_reachable(const void* address, std::size_t bytes, const std::string& what) {
  const Block* block = find(address);
  require_inside(address, bytes, block != nullptr ? block->place : Place::device, what);
}

void require_touchable(const char* address, std::size_t bytes) {
  const Block* block = heap().find(address);
  if (block == nullptr || address + bytes > block->begin + block->bytes)
    violation(fmt::format("a kernel touched {} bytes at {}", bytes, heap().describe(address)));
}

std::size_t device_used(int device) { return heap().used(device); }

Living living() { return {heap().live(), static_cast<std::int64_t>(pinned().size()), live_handles()}; }

Open::Open() { heap().open(); }
Open::~Open() { heap().close(); }

}  // namespace hso::emulated
