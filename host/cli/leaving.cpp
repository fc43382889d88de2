// SPDX-License-Identifier: Apache-2.0
#include "cli/leaving.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "cli/judge.hpp"
#include "cli/signals.hpp"
#include "cli/streams.hpp"

namespace hso::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{20};  // a handler of signals can wake nobody

}  // namespace

void Leaving::begin(std::function<int()> end) {
  waiting_ = std::jthread([end = std::move(end)](const std::stop_token& done) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (!never.wait_for(lock, done, kBetweenLooks, [] { return SignalWatch::caught() != 0; }))
      if (done.stop_requested()) return;
    Streams::end_process(judged("hso", end));
  });
}

}  // namespace hso::cli
