// SPDX-License-Identifier: Apache-2.0
//
// INT, TERM and HUP as requests to end early, while there is something to be saved.
#pragma once

#include <array>
#include <csignal>

#include "hsogpu/core/interrupt.hpp"

namespace hso::cli {

/// While one lives, the first SIGINT, SIGTERM or SIGHUP is remembered instead of ending the process; a second one ends
/// it. Signals that were ignored when the program started (nohup) stay so. Made when there is something to be saved:
/// before that a signal may end the process at once.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  /// The number of the last signal that was remembered, by this or an earlier watch of the command; 0 for none.
  static int caught();
  /// At the start of a command.
  static void forget();
  /// While true, a signal ends the process instead: for work that cannot be left early (InterruptScope).
  static void end_at_once(bool yes);

 private:
  static constexpr std::array<int, 3> kSignals{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, 3> before_;
};

/// While one lives, long work of the library ends early once a signal was remembered.
class SignalScope {
 public:
  SignalScope();

 private:
  InterruptScope scope_;
};

}  // namespace hso::cli
