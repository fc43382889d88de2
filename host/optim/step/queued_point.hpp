// SPDX-License-Identifier: Apache-2.0
//
// Value, gradient and inner products at a point, queued together and read with one wait.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "hsogpu/objective/objective.hpp"
#include "linalg/queued_numbers.hpp"

namespace hso::detail {

/// A series of numbers that begins with the value at a point. Where results come late and the objective can leave its
/// value on the device, value and gradient are queued and read with one wait; otherwise the value is there at once.
template <class T>
class QueuedPoint : public QueuedNumbers {
 public:
  using Pair = std::pair<const T*, const T*>;
  /// Room for `capacity` numbers beside the value.
  QueuedPoint(Context& context, Index capacity)
      : QueuedNumbers(context, capacity + 1), ops_(context.ops<T>()), recorded_(context.make_recorded()) {}

  /// g := the gradient at theta, and the inner products x'y of the pairs, the first numbers.
  void queue(Objective<T>& objective, const T* theta, T* g, const std::vector<Pair>& pairs) {
    const Index n = objective.dimension();
    double* at = begin();
    take(static_cast<Index>(pairs.size()));
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
  /// The same by the caller: where the value goes, unless it is set.
  double* begin() {
    start();
    late_ = true;
    return take();
  }
  void set_value(double value) {
    late_ = false;
    value_ = value;
  }

  double value() { return late_ ? values()[0] : value_; }
  bool is_known_not_finite() const { return !late_ && !std::isfinite(value_); }
  /// Beside the value, in the order in which they were queued.
  Span<const double> numbers() { return values().subspan(1); }

 private:
  Ops<T>& ops_;
  std::unique_ptr<Recorded> recorded_;
  bool late_ = false;
  double value_ = 0;
};

}  // namespace hso::detail
