// SPDX-License-Identifier: Apache-2.0
#include "recorded.hpp"

#include <algorithm>

#include "cuda_context.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {

CudaRecorded::CudaRecorded(CudaContext& context) : share_(context), context_(context) {}

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
  entries_.insert(entries_.begin(), Entry{{key.begin(), key.end()}, arena_position, State::fresh, {}});
  drop_above(kWaiting, false);
  return entries_.front();
}

void CudaRecorded::drop_above(std::ptrdiff_t most, bool executable) {
  const auto is_one = [=](const Entry& e) { return static_cast<bool>(e.executable) == executable; };
  if (std::ranges::count_if(entries_, is_one) <= most) return;
  if (executable) context_.wait();  // it may still be running
  entries_.erase(std::next(std::find_if(entries_.rbegin(), entries_.rend(), is_one)).base());
}

bool CudaRecorded::replays() const { return context_.graphs_enabled() && !context_.capturing(); }

void CudaRecorded::run(Span<const std::uintptr_t> key, const std::function<void()>& launch) {
  if (!replays()) return launch();
  const std::uintptr_t position = context_.arena().position();
  Entry& entry = entry_for(key, position);
  if (entry.state == State::launched) record(entry, launch);  // stays the first entry
  if (entry.state == State::ready) {
    HSO_CHECK(cudaGraphLaunch(entry.executable.get(), context_.stream()));
    return;
  }
  const bool first = entry.state == State::fresh;
  launch();
  if (first) entry_for(key, position).state = State::launched;
}

// Nothing runs during a capture, so a capture that fails has no effect, and the caller launches plainly instead: it
// throws again what was not about the capture. What is no error of the device (Interrupted, say) leaves the capture.
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
  } catch (const DeviceError&) {
    complete = false;
  } catch (const MemoryError&) {
    complete = false;
  } catch (...) {
    context_.end_capture();
    entry.state = State::launched;  // to be recorded the next time
    throw;
  }
  const GraphHandle graph = context_.end_capture();
  if (!complete || !graph) return;
  if (cudaGraphInstantiate(entry.executable.fill(), graph.get(), 0) == cudaSuccess) {
    entry.state = State::ready;
    drop_above(kExecutables, true);
  } else {
    static_cast<void>(cudaGetLastError());
  }
}

}  // namespace hso::detail
