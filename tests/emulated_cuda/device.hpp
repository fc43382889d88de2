// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the emulated device share: runtime.cpp, blas.cpp and solver.cpp are entry points; memory.cpp,
// streams.cpp, kernels.cpp, access.cpp and failures.cpp do the work. One lock serialises all of it.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "emulated.hpp"

namespace hso::emulated {

std::recursive_mutex& lock();
/// A rule of CUDA was broken: prints the message and ends the process.
[[noreturn]] void violation(const std::string& message);

Ledger& book();

// ---- failures.cpp
/// Counts a call of this site. cudaSuccess, or the error that the call has to return without doing anything.
cudaError_t enter(Site site);
/// The error that every call reports once the device is lost; cudaSuccess before.
cudaError_t lost();
/// Remembers it for cudaGetLastError.
cudaError_t report(cudaError_t error);

// ---- memory.cpp
enum class Place { device, pinned };
struct Block {
  char* begin = nullptr;
  std::size_t bytes = 0;
  Place place = Place::device;
  int device = 0;
  bool pooled = false;  ///< from cudaMallocFromPoolAsync: goes back through cudaFreeAsync
  bool live = false;
};
constexpr std::size_t kGranule = 256;

int current_device();
int device_count();
std::size_t device_total();
std::size_t device_used(int device);
/// nullptr when the device is full. Filled with 0xFF.
void* take(Place place, std::size_t bytes, bool pooled);
/// Fills the memory with 0xFF; later writes to it are found.
void give_back(void* memory, Place place, bool pooled);
/// The live block that holds the address, or nullptr for memory of the host that CUDA does not know.
const Block* find(const void* address);
/// Violation unless the bytes lie in one live block of this place. `what` names the call and operand.
void require_inside(const void* address, std::size_t bytes, Place place, const std::string& what);
/// For operands that may be in device memory or in pinned memory.
void require_reachable(const void* address, std::size_t bytes, const std::string& what);

/// Device memory can be touched while one of these lives.
class Open {
 public:
  Open();
  ~Open();
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
};

// ---- streams.cpp
/// A point of a stream's work that events stand for.
struct Mark {
  cudaStream_t stream;
  bool done = false;
};
struct Item {
  enum class Kind { kernel, library, copy, graph, release, event };
  Kind kind;
  std::string name;
  std::function<void()> run;
  std::shared_ptr<Mark> after{};  ///< this must have happened before
};
/// Queues work, or adds it to the graph that the stream captures. Violation for the default stream, and for kinds that
/// a capture of this project may not hold (releases).
void enqueue(cudaStream_t stream, Item item);
bool is_capturing(cudaStream_t stream);
/// The stream's capture fails from here on, as after a call that it cannot hold.
void invalidate_capture(cudaStream_t stream);
/// Runs everything queued on the stream, and what that waits for.
void drain(cudaStream_t stream);
void drain_all();
/// Lets the schedule run some of what is queued; called by every entry point.
void progress();
/// One of so many possibilities that are all legal: the first unless the schedule is random.
unsigned choose(unsigned possibilities);
/// Counts a wait of the host, and runs what the stream holds.
void wait_for(cudaStream_t stream);
std::int64_t live_handles();
/// +1 for a handle made, -1 for one destroyed.
void count_handle(int change);

}  // namespace hso::emulated
