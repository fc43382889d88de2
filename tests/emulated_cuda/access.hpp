// SPDX-License-Identifier: Apache-2.0
//
// Every load and store of a kernel comes by here: the kernels are compiled with the calls that -fsanitize=thread puts
// before each access, and access.cpp defines them. Always: no byte outside of a live block is touched. While a launch
// is tracked: who touched which word, so that races are found, bytes are counted, and writes can be undone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hso::emulated {

/// A thread between two barriers. Threads of a block are ordered by its barriers, threads of other blocks never.
struct ThreadPlace {
  unsigned block, thread, epoch;
};

/// Words of 4 bytes that a launch wrote, with what they hold, by address.
struct Change {
  std::uintptr_t address;
  std::uint32_t value;
  bool operator==(const Change&) const = default;
};

/// Counts the bytes that a launch touches, each once, until stop_counting() adds them to the ledger.
void start_counting();
void stop_counting();
/// These bytes of device memory are released: what counting keeps of them takes no memory any longer.
void forget_counted(const char* begin, std::size_t bytes);
/// Two threads that touch a word, one of them writing, with nothing between them are a violation from here on.
void start_tracking(const std::string& kernel);
bool is_tracking();
/// Another block begins: what the last one did to shared memory is none of its business.
void forget_shared();
void set_place(const ThreadPlace& place);
/// What was written so far, which is undone; tracking goes on from there.
std::vector<Change> undo_changes();
/// What was written.
std::vector<Change> stop_tracking();

}  // namespace hso::emulated
