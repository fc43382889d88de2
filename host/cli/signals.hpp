// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace hso::cli {

/// While one lives, the first SIGINT or SIGTERM is remembered instead of ending the process; a second one ends it.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  /// The signal's number, 0 for none.
  int caught() const;

 private:
  struct sigaction interrupt_, terminate_;
};

}  // namespace hso::cli
