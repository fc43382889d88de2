// SPDX-License-Identifier: Apache-2.0
#include "recorded.hpp"

#include <algorithm>

#include "cuda_context.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/error.hpp"

namespace hso::detail {

CudaRecorded::~CudaRecorded() {
  context_.wait();  // an executable may still be running
}

CudaRecorded::Entry& CudaRecorded::entry_for(Span<const std::uintptr_t> key, std::uintptr_t arena_position) {
  const auto found = std::ranges::find_if(
      entries_, [&](const Entry& e) { return e.arena_position == arena_position && std::ranges::equal(e.key, key); });
  if (found != entries_.end()) {
    std::rotate(entries_.begin(), found, found + 1);
    return entries_.front();
  }
  if (entries_.size() == kEntries) {
    if (entries_.back().executable) context_.wait();  // it may still be running
    entries_.pop_back();
  }
  entries_.insert(entries_.begin(), Entry{{key.begin(), key.end()}, arena_position, State::fresh, {}});
  return entries_.front();
}

void CudaRecorded::run(Span<const std::uintptr_t> key, const std::function<void()>& launch) {
  if (!context_.graphs_enabled() || context_.capturing()) return launch();
  const std::uintptr_t position = context_.arena().position();
  Entry& entry = entry_for(key, position);
  if (entry.state == State::launched) record(entry, launch);
  if (entry.state == State::ready) {
    HSO_CHECK(cudaGraphLaunch(entry.executable.get(), context_.stream()));
    return;
  }
  const bool first = entry.state == State::fresh;
  launch();
  if (first) entry_for(key, position).state = State::launched;
}

// Nothing runs during a capture, so a capture that fails has no effect, and the caller launches plainly instead.
void CudaRecorded::record(Entry& entry, const std::function<void()>& launch) {
  entry.state = State::refused;
  try {
    context_.begin_capture();
  } catch (const DeviceError&) {
    return;
  }
  bool complete = true;
  try {
    launch();
  } catch (...) {
    complete = false;  // the plain launch throws it again if it was not about the capture
  }
  const GraphHandle graph = context_.end_capture();
  if (!complete || !graph) return;
  if (cudaGraphInstantiate(entry.executable.fill(), graph.get(), 0) == cudaSuccess)
    entry.state = State::ready;
  else
    static_cast<void>(cudaGetLastError());
}

}  // namespace hso::detail
