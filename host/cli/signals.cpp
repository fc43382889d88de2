// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.hpp"

namespace hso::cli {
namespace {

volatile std::sig_atomic_t g_caught = 0;

void remember(int signal) { g_caught = signal; }

}  // namespace

SignalWatch::SignalWatch() {
  g_caught = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &interrupt_);
  sigaction(SIGTERM, &action, &terminate_);
}

SignalWatch::~SignalWatch() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
}

int SignalWatch::caught() const { return g_caught; }

}  // namespace hso::cli
