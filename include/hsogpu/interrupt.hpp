// SPDX-License-Identifier: Apache-2.0
//
// Ending long work early. The library asks between products, gradients and the columns of a dense matrix whether it is
// to stop, and leaves by an exception where it is:
//
//   hso::InterruptScope scope([&] { return stop_was_asked_for.load(); });
//   try { hessian->to_dense(h.data()); } catch (const hso::Interrupted&) { ... }
//
// A scope counts for its thread, and the innermost one alone. Training, pruning and analyses that catch the exception
// end with what they know; their headers say so.
#pragma once

#include <exception>
#include <functional>

namespace hso {

/// Not an hso::Error: nothing failed.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

class InterruptScope {
 public:
  /// `stop` is asked often and should cost next to nothing; empty: nothing below is interrupted. `blocking(true)` is
  /// called before work that cannot be left early and whose end nothing is kept of when it is (an eigendecomposition of
  /// a whole matrix), `blocking(false)` after it: a program may let signals end the process in between.
  explicit InterruptScope(std::function<bool()> stop, std::function<void(bool)> blocking = {});
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  bool stops() const { return stop_ && stop_(); }

 private:
  friend class BlockingWork;
  friend bool interruptible();
  std::function<bool()> stop_;
  std::function<void(bool)> blocking_;
  InterruptScope* outer_;
};

/// Throws Interrupted where the innermost scope of this thread says so; without one it does nothing.
void check_interrupted();

/// Whether a scope may stop what runs: somebody may want to know what was before.
bool interruptible();

/// Marks work that cannot be left early; asks once before it begins.
class BlockingWork {
 public:
  BlockingWork();
  ~BlockingWork();
  BlockingWork(const BlockingWork&) = delete;
  BlockingWork& operator=(const BlockingWork&) = delete;
};

}  // namespace hso
