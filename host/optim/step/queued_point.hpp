// SPDX-License-Identifier: Apache-2.0
//
// Value, gradient and inner products at a point, queued together and read with one wait.
#pragma once

#include <utility>
#include <vector>

#include "hsogpu/objective/objective.hpp"
#include "linalg/queued_numbers.hpp"

namespace hso::detail {

/// Value and gradient of an objective at a point, and numbers that follow from them, read together. Where results come
/// late and the objective can leave its value on the device, all of it is queued and read with one wait.
template <class T>
class QueuedPoint {
 public:
  using Pair = std::pair<const T*, const T*>;
  /// Room for `capacity` numbers beside the value.
  QueuedPoint(Context& context, Index capacity)
      : ops_(context.ops<T>()), numbers_(context, capacity + 1), recorded_(context.make_recorded()) {}

  /// g := the gradient at theta, and the inner products x'y of the pairs, the first numbers.
  void queue(Objective<T>& objective, const T* theta, T* g, const std::vector<Pair>& pairs) {
    const Index n = objective.dimension();
    numbers_.start();
    double* at = numbers_.take(1 + static_cast<Index>(pairs.size()));
    std::vector<std::uintptr_t> key;
    late_ = ops_.context().is_cuda() && objective.announce_gradient(key);
    if (!late_) value_ = objective.gradient(theta, g);
    const auto launch = [&] {
      if (late_) objective.gradient_on_device(theta, g, at);
      for (std::size_t i = 0; i < pairs.size(); ++i)
        ops_.dots_on_device(1, n, pairs[i].first, n, pairs[i].second, n, at + 1 + i);
    };
    if (!late_) return launch();
    for (const void* p : {static_cast<const void*>(theta), static_cast<const void*>(g)})
      key.push_back(reinterpret_cast<std::uintptr_t>(p));
    for (const auto& [x, y] : pairs)
      key.insert(key.end(), {reinterpret_cast<std::uintptr_t>(x), reinterpret_cast<std::uintptr_t>(y)});
    recorded_->run(key, launch);
  }
  /// The same with the value and gradient at hand.
  void queue(double value, Index n, const std::vector<Pair>& pairs) {
    numbers_.start();
    numbers_.take();
    late_ = false;
    value_ = value;
    for (const auto& [x, y] : pairs) numbers_.dot(ops_, n, x, y);
  }
  /// Room for more numbers, which the caller queues before `post`.
  double* take(Index count) { return numbers_.take(count); }
  void post() { numbers_.post(); }

  double value() { return late_ ? numbers_.values()[0] : value_; }
  /// Beside the value, in the order in which they were queued.
  Span<const double> numbers() { return numbers_.values().subspan(1); }

 private:
  Ops<T>& ops_;
  QueuedNumbers numbers_;
  std::unique_ptr<Recorded> recorded_;
  bool late_ = false;
  double value_ = 0;
};

}  // namespace hso::detail
