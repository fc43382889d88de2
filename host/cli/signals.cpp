// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.hpp"

#include <unistd.h>

#include <atomic>

namespace hso::cli {
namespace {

std::atomic<int> g_caught{0}, g_at_once{0};
static_assert(std::atomic<int>::is_always_lock_free, "a handler of signals may touch nothing else");

void remember(int signal) {
  if (g_at_once != 0) ::_exit(128 + signal);
  g_caught = signal;
}

}  // namespace

SignalWatch::SignalWatch() {
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

SignalWatch::~SignalWatch() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

int SignalWatch::caught() { return g_caught; }

void SignalWatch::forget() { g_caught = 0; }

void SignalWatch::end_at_once(bool yes) { g_at_once = yes ? 1 : 0; }

SignalScope::SignalScope() : scope_([] { return g_caught != 0; }) {}

}  // namespace hso::cli
