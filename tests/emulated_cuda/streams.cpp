// SPDX-License-Identifier: Apache-2.0
#include "streams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string_view>

namespace hso::emulated {

namespace {

struct Chosen {
  Schedule schedule = Schedule::lazy;
  std::mt19937_64 random{0};
};

Chosen from_environment() {
  const char* word = std::getenv("HSO_EMULATED_SCHEDULE");
  const std::string_view text = word == nullptr ? "lazy" : word;
  if (text == "lazy") return {};
  if (text == "eager") return {Schedule::eager, {}};
  if (text.starts_with("random:")) return {Schedule::random, std::mt19937_64(std::strtoull(word + 7, nullptr, 10))};
  violation("HSO_EMULATED_SCHEDULE: expected lazy, eager or random:SEED, found '" + std::string(text) + "'");
}

Chosen& chosen() {
  static Chosen instance = from_environment();
  return instance;
}

std::vector<CUstream_st*>& streams() {
  static auto& all = *new std::vector<CUstream_st*>;
  return all;
}

std::int64_t handles = 0;

void run_first(CUstream_st* stream) {
  const Item item = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (item.after) run_until(*item.after);
  stream->busy = true;
  if (item.run) item.run();
  stream->busy = false;
}

bool is_ready(CUstream_st* stream) {
  if (stream->queue.empty() || stream->busy) return false;
  const std::shared_ptr<Mark>& after = stream->queue.front().after;
  return !after || after->done;
}

}  // namespace

void set_schedule(Schedule schedule, std::uint64_t seed) {
  const std::lock_guard guard(lock());
  chosen() = {schedule, std::mt19937_64(seed)};
}

CUstream_st* add_stream() {
  streams().push_back(new CUstream_st{.queue = {}, .capture = {}, .device = current_device()});
  count_handle(1);
  return streams().back();
}

void require_stream(const CUstream_st* stream, const char* call) {
  if (stream == nullptr) violation(fmt::format("{}: uses the default stream, which waits for all others", call));
  if (std::ranges::find(streams(), stream) == streams().end()) violation(fmt::format("{}: no live stream", call));
}

void remove_stream(CUstream_st* stream) {
  drain(stream);
  streams().erase(std::ranges::find(streams(), stream));
  count_handle(-1);
  delete stream;
}

void enqueue(cudaStream_t stream, Item item) {
  require_stream(stream, item.name.c_str());
  if (stream->device != current_device() && item.kind == Item::Kind::kernel)
    violation(fmt::format("{}: launched on a stream of device {} while device {} is current", item.name, stream->device,
                          current_device()));
  if (!stream->capturing) {
    stream->queue.push_back(std::move(item));
    return progress();
  }
  if (item.kind == Item::Kind::release)
    violation("memory released inside a capture: the graph would release it again with every launch");
  stream->capture->items.push_back(std::move(item));
}

bool is_capturing(cudaStream_t stream) { return stream != nullptr && stream->capturing; }

void invalidate_capture(cudaStream_t stream) { stream->invalid = true; }

void drain(cudaStream_t stream) {
  if (stream->queue.empty() || stream->busy) return;
  const Open open;
  while (!stream->queue.empty()) run_first(stream);
}

void drain_all() {
  for (CUstream_st* stream : streams()) drain(stream);
}

void run_until(const Mark& mark) {
  const Open open;
  while (!mark.done && !mark.stream->queue.empty()) run_first(mark.stream);
}

void wait_for(cudaStream_t stream) {
  ++book().waits;
  drain(stream);
}

void progress() {
  Chosen& c = chosen();
  if (c.schedule == Schedule::lazy) return;
  if (c.schedule == Schedule::eager) return drain_all();
  if (c.random() % 4 != 0) return;
  std::vector<CUstream_st*> ready;
  for (std::uint64_t left = c.random() % 8; left > 0; --left) {
    ready.clear();
    std::ranges::copy_if(streams(), std::back_inserter(ready), is_ready);
    if (ready.empty()) return;
    const Open open;
    run_first(ready[c.random() % ready.size()]);
  }
}

unsigned choose(unsigned possibilities) {
  Chosen& c = chosen();
  return c.schedule == Schedule::random ? static_cast<unsigned>(c.random() % possibilities) : 0;
}

std::int64_t live_handles() { return handles; }
void count_handle(int change) { handles += change; }

Ledger& book() {
  static Ledger instance;
  return instance;
}
const Ledger& ledger() { return book(); }
void reset_ledger() { book() = {}; }

}  // namespace hso::emulated
