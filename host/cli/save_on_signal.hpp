// SPDX-License-Identifier: Apache-2.0
//
// Signals in the middle of work that cannot be left: an eigendecomposition of a whole matrix may take minutes. While it
// runs another thread waits for a signal, saves what is known, and ends the process.
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "hsogpu/core/interrupt.hpp"

namespace hso::cli {

class SaveOnSignal {
 public:
  /// For the `blocking` of a call of the library. `conclude` gets what is known at the signal, prints it or writes what
  /// the call does not write itself, and returns the exit code. It runs while the caller of the library waits inside
  /// it. Must not outlive this.
  template <class Result, class Conclude>
  BlockingHook<Result> hook(const Conclude& conclude) {
    return [this, conclude](std::function<Result()> known) {
      if (known)
        begin([conclude, known = std::move(known)] { return conclude(known()); });
      else
        waiting_ = {};  // where the process is being ended this waits for its end
    };
  }

 private:
  void begin(std::function<int()> end);
  std::jthread waiting_;
};

}  // namespace hso::cli
