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
//
// A factorisation of a whole matrix is one call that cannot be left. Before it a program is told (`blocking`), so that
// it may end the process in the middle of it.
#pragma once

#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

#include "hsogpu/core/types.hpp"

namespace hso {

/// Not an hso::Error: nothing failed.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// Called by what returns a Result: with a function before work that cannot be left early, with an empty one after it.
/// The function gives, and writes, what would have been returned if that work had been interrupted. It may be called
/// once, while the work runs, by another thread; the process has to end then (_exit), for the work still writes to
/// memory of the thread that does it. Throws Interrupted where nothing is known yet.
template <class Result>
using BlockingHook = std::function<void(std::function<Result()>)>;

class InterruptScope {
 public:
  /// `stop` is asked often and should cost next to nothing; empty: nothing below is interrupted. `blocking(true)` is
  /// called before work that cannot be left early (a factorisation of a whole matrix), `blocking(false)` after it: a
  /// program may let signals end the process in between.
  explicit InterruptScope(std::function<bool()> stop, std::function<void(bool)> blocking = {});
  /// Stops where the scope around it does, and gives `hook` what is `known`; an empty hook leaves it to the scope
  /// around it.
  template <class Result>
  InterruptScope(const BlockingHook<Result>& hook, std::type_identity_t<std::function<Result()>> known)
      : InterruptScope(innermost_stop(), hook ? [hook, known = std::move(known)](
                                                    bool begins) { hook(begins ? known : std::function<Result()>()); }
                                              : innermost_blocking()) {}
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  bool stops() const { return stop_ && stop_(); }

 private:
  friend class BlockingWork;
  friend bool interruptible();
  static std::function<bool()> innermost_stop();
  static std::function<void(bool)> innermost_blocking();
  std::function<bool()> stop_;
  std::function<void(bool)> blocking_;
  int depth_ = 0;  ///< of BlockingWork: the outermost one counts
  InterruptScope* outer_;
};

/// Throws Interrupted where the innermost scope of this thread says so; without one it does nothing.
void check_interrupted();

/// Whether a scope may stop what runs: somebody may want to know what was before.
bool interruptible();

/// Marks work of order^3 operations, `count` times, that cannot be left early; asks once before it begins. Work of a
/// tenth of a second is not worth marking: it does nothing then.
class BlockingWork {
 public:
  explicit BlockingWork(Index order, Index count = 1);
  ~BlockingWork();
  BlockingWork(const BlockingWork&) = delete;
  BlockingWork& operator=(const BlockingWork&) = delete;

 private:
  void end();
  InterruptScope* scope_ = nullptr;
};

}  // namespace hso
