// SPDX-License-Identifier: Apache-2.0
#include "cli/save_on_signal.hpp"

#include <omp.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "cli/exit_code.hpp"
#include "cli/signals.hpp"
#include "cli/streams.hpp"

namespace hso::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{20};  // a handler of signals can wake nobody

}  // namespace

void SaveOnSignal::begin(std::function<int()> end) {
  // OpenMP's number of threads is the calling thread's: a new one would start with OMP_NUM_THREADS again.
  waiting_ = std::jthread([end = std::move(end), threads = omp_get_max_threads()](const std::stop_token& done) {
    omp_set_num_threads(threads);
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (!never.wait_for(lock, done, kBetweenLooks, [] { return SignalWatch::caught() != 0; }))
      if (done.stop_requested()) return;
    Streams::end_process(exit_code_of("saving at a signal", end));
  });
}

}  // namespace hso::cli
