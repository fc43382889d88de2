// SPDX-License-Identifier: Apache-2.0
//
// Early stopping: the point with the lowest test loss so far, and whether it is time to give up looking for a better
// one. Prechelt, "Early stopping - but when?", in Neural Networks: Tricks of the Trade, 1998.
#pragma once

#include <cmath>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/train/train.hpp"

namespace hso {

/// The numbers of a record; what its step reported stays in metrics.jsonl.
inline void visit_record(StateVisitor& state, TrainRecord& record) {
  state("step", record.step);
  state("epoch", record.epoch);
  state("seconds", record.seconds);
  state("processor_seconds", record.processor_seconds);
  state("gradient_equivalents", record.gradient_equivalents);
  state("train_loss", record.train.loss);
  state("train_accuracy", record.train.accuracy);
  state("test_loss", record.test.loss);
  state("test_accuracy", record.test.accuracy);
  state("objective", record.objective);
}

template <class T>
class BestPoint {
 public:
  /// `patience` records without a lower test loss end the training; 0: nothing is kept. `statistics`: whether the
  /// network has running ones.
  BestPoint(Index patience, bool statistics) : patience_(patience), has_statistics_(statistics) {}

  /// `theta` and the objective's running statistics are the point of the record; they are copied where its test loss is
  /// the lowest.
  void look(const TrainRecord& record, const Buffer<T>& theta, const NetworkObjective<T>& objective) {
    if (patience_ == 0) return;
    ++since_;
    const bool lower = record.test.loss < record_.test.loss || std::isnan(record_.test.loss);
    if (!theta_.empty() && !lower) return;
    record_ = record;
    theta_ = theta.download();
    statistics_ = objective.statistics();
    since_ = 0;
  }
  void visit_state(StateVisitor& state) {
    state("since", since_);
    state("theta", theta_);
    if (has_statistics_) state("statistics", statistics_);
    state.part("record", [&] { visit_record(state, record_); });
  }
  bool gives_up() const { return patience_ > 0 && since_ >= patience_; }
  /// True where another point than that of `last` is the one to keep.
  bool is_before(const TrainRecord& last) const { return !theta_.empty() && record_.step != last.step; }

  const TrainRecord& record() const { return record_; }
  std::vector<double> theta() const { return {theta_.begin(), theta_.end()}; }
  const std::vector<double>& statistics() const { return statistics_; }

 private:
  Index patience_, since_ = 0;
  bool has_statistics_;
  TrainRecord record_{};
  std::vector<T> theta_;
  std::vector<double> statistics_;
};

}  // namespace hso
