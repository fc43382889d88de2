// SPDX-License-Identifier: Apache-2.0
//
// Fibers live as long as the process and run one thread of a kernel after the other: making a stack costs more than
// most blocks do.
#include "fibers.hpp"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <memory>

#include "device.hpp"

namespace hso::emulated {

namespace {

namespace context = boost::context;

constexpr std::size_t kStack = std::size_t{64} << 10;

struct Worker {
  context::fiber inside;   ///< of the thread, while it waits
  context::fiber outside;  ///< of the block, while the thread runs
  std::function<void(unsigned)> job;
  unsigned thread = 0, line = 0;  ///< line: of the barrier it waits at
  bool running = false;
};

Worker* current = nullptr;
unsigned passed = 0;

std::vector<std::unique_ptr<Worker>>& workers() {
  static auto& all = *new std::vector<std::unique_ptr<Worker>>;
  return all;
}

void add_worker() {
  workers().push_back(std::make_unique<Worker>());
  Worker* w = workers().back().get();
  w->inside = context::fiber(std::allocator_arg, context::fixedsize_stack(kStack), [w](context::fiber&& outside) {
    w->outside = std::move(outside);
    for (;;) {
      w->job(w->thread);
      w->running = false;
      w->outside = std::move(w->outside).resume();
    }
    return std::move(w->outside);
  });
}

void resume(Worker& w) {
  current = &w;
  threadIdx.x = w.thread;
  w.inside = std::move(w.inside).resume();
  current = nullptr;
}

/// Threads that still run after the round.
unsigned round(const std::vector<unsigned>& order) {
  unsigned running = 0;
  for (unsigned t : order) {
    Worker& w = *workers()[t];
    if (!w.running) continue;
    resume(w);
    running += w.running;
  }
  return running;
}

void require_together(const std::vector<unsigned>& order, unsigned running, const std::string& kernel) {
  if (running < order.size())
    violation(fmt::format("{}: {} of {} threads of a block ended while others wait in __syncthreads", kernel,
                          order.size() - running, order.size()));
  for (unsigned t : order)
    if (workers()[t]->line != workers()[order.front()]->line)
      violation(fmt::format("{}: threads of a block wait in __syncthreads at lines {} and {}", kernel,
                            workers()[t]->line, workers()[order.front()]->line));
}

}  // namespace

unsigned barriers_passed() { return passed; }
bool barriers_running() { return current != nullptr; }

void barrier(unsigned line) {
  if (current == nullptr) violation("__syncthreads in a kernel that was launched without shared memory");
  Worker& w = *current;
  w.line = line;
  w.outside = std::move(w.outside).resume();
}

void run_fibers(const std::vector<unsigned>& order, const std::string& kernel,
                const std::function<void(unsigned thread)>& run) {
  while (workers().size() < order.size()) add_worker();
  for (unsigned t : order) {
    Worker& w = *workers()[t];
    w.job = run;
    w.thread = t;
    w.running = true;
  }
  passed = 0;
  while (const unsigned running = round(order)) {
    require_together(order, running, kernel);
    ++passed;
  }
}

}  // namespace hso::emulated
