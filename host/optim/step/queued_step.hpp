// SPDX-License-Identifier: Apache-2.0
//
// The part of an optimizer that can step without the host: launches that are the same for every step, so that they can
// be recorded, with checks on the device in place of decisions. DeviceQueue runs them.
//
// A step has three kinds of places in the memory of its queue. It asks a StepPlaces for them when it launches, and in
// the same order again, on the host's copy, when it reports:
//   numbers   what the host gives with every step, in the order of `next`
//   results   what the launches leave
//   checks    numbered from 1: the first that fails stops the queue
#pragma once

#include <vector>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso::detail {

/// How a coming step can be taken.
enum class Queueing {
  host,     ///< by Optimizer::step alone
  plain,    ///< queued, with launches that may wait or change
  recorded  ///< queued, with launches that are the same for the same key
};

constexpr Index kStepNumbers = 16, kStepResults = 48;

/// Number: double in device memory, const double on the host.
template <class Number>
class StepPlaces {
 public:
  StepPlaces(StepFlags* flags, Number* memory) : flags_(flags), memory_(memory) {}
  Number* numbers(Index count) { return taken(numbers_, count, 0, kStepNumbers); }
  Number* results(Index count) { return taken(results_, count, kStepNumbers, kStepResults); }
  std::uint64_t check() { return ++checks_; }
  StepFlags* flags() const { return flags_; }
  const std::uint64_t* go() const { return &flags_->go; }
  Index used() const { return kStepNumbers + results_; }

 private:
  Number* taken(Index& used, Index count, Index base, Index capacity) {
    if (used + count > capacity)
      throw UsageError("queued step: too many optimizers around optimizers; take steps one by one");
    used += count;
    return memory_ + base + used - count;
  }
  StepFlags* flags_;
  Number* memory_;
  Index numbers_ = 0, results_ = 0;
  std::uint64_t checks_ = 0;
};
using DevicePlaces = StepPlaces<double>;

/// Host: what the host knows of the last step that did anything.
struct StepRecord {
  StepPlaces<const double> places;
  std::uint64_t failed = 0;  ///< the check, or 0
  Index skipped = 0;         ///< steps behind it, which did nothing
};

template <class T>
class QueuedStep {
 public:
  virtual ~QueuedStep() = default;
  /// What the coming step's launches depend on goes to `key`. Outside of what is recorded: makes room, starts.
  virtual Queueing announce(Objective<T>& objective, const T* theta, std::vector<std::uintptr_t>& key) = 0;
  /// The numbers of the step, always as many; the step counts as taken from here on.
  virtual void next(std::vector<double>& numbers) = 0;
  /// The launches. What a failed check must leave alone is written under `at.go()`.
  virtual void launch(Objective<T>& objective, T* theta, DevicePlaces& at) = 0;
  /// The host has looked: fills the report of the last step, and takes back what `next` counted for steps that a failed
  /// check has stopped.
  virtual void settle(StepRecord& record, StepReport& report) = 0;
};

}  // namespace hso::detail
