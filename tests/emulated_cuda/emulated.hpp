// SPDX-License-Identifier: Apache-2.0
//
// A CUDA device on the CPU, for tests: the unchanged sources of cuda/ run over doubles of the CUDA runtime, cuBLAS and
// cuSOLVER that keep their documented promises and no others. This is what a test may ask of it and tell it.
//
// Streams are queues. What is queued runs when something waits for it, or at moments that the schedule chooses, so that
// a missing wait shows. The host cannot touch device memory: it is opened while queued work runs, and closed again.
// A broken rule of CUDA (a copy out of range, a race, a wait inside a capture, a leak) ends the process with a message.
//
// Environment: HSO_EMULATED_SCHEDULE = lazy (default), eager or random:SEED
//              HSO_EMULATED_CHECK = 1: every kernel in two orders of its threads, races are errors (slow)
//              HSO_EMULATED_PROTECT = 0: the host can touch device memory (faster)
//              HSO_EMULATED_DEVICES = compute capabilities, one a device ("9.0", "7.0,9.0", "none"; default "9.0")
//              HSO_EMULATED_MEMORY = bytes of a device (default 64 GiB)
//              HSO_EMULATED_FAIL = SITE:N: call N of that site fails once ("lost": from then on everything fails)
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace hso::emulated {

/// What was asked of the device since the last reset: the cost that needs no clock.
struct Ledger {
  std::int64_t launches = 0;       ///< kernels, outside graphs
  std::int64_t library_calls = 0;  ///< products and factorisations, outside graphs
  std::int64_t graph_launches = 0;
  std::int64_t graph_nodes = 0;  ///< that those launches ran
  std::int64_t copies = 0;       ///< outside graphs
  std::int64_t copied_bytes = 0;
  std::int64_t waits = 0;  ///< of the host: for a stream, for an event that had not happened, in a synchronous call
  std::int64_t allocations = 0;
  std::int64_t releases = 0;
  double flops = 0;  ///< of library calls, in graphs too
  /// Bytes that kernels read and wrote, each counted once a launch, in graphs too. Counted while tracing alone.
  std::int64_t kernel_bytes = 0;
  std::int64_t library_bytes = 0;             ///< operands of library calls, each once
  std::map<std::string, std::int64_t> names;  ///< kernels and calls by name, in graphs too
};
const Ledger& ledger();
void reset_ledger();

enum class Schedule { lazy, eager, random };
void set_schedule(Schedule schedule, std::uint64_t seed = 0);

/// Kernels in two orders of threads and blocks on the same memory, and a record of who touched what.
void set_checking(bool on);
/// Counts the bytes that kernels touch.
void set_tracing(bool on);

/// The calls that can be told to fail. `any` counts all of them.
enum class Site { any, allocation, launch, library, copy, graph, wait, lost };
/// The call number `nth` of the site, from 1 for the next one, fails once; lost: it and all that follow. nth = 0: none.
void fail(Site site, std::int64_t nth);
/// Whether the failure has happened.
bool has_failed();
/// Everything as before the failure: a lost device is there again.
void recover();

/// Live allocations of device and pinned memory, and live handles: nothing may be left when contexts are gone.
struct Living {
  std::int64_t device_blocks = 0, pinned_blocks = 0, handles = 0;
  bool operator==(const Living&) const = default;
};
Living living();

}  // namespace hso::emulated
