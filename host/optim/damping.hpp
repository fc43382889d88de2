// SPDX-License-Identifier: Apache-2.0
//
// Levenberg and Marquardt's rule for the damping (Marquardt 1963; thresholds 1/4 and 3/4 as in Nocedal and Wright 2006,
// algorithm 4.1), and the matching rule for eps: it shrinks when the model was wrong and recovers, up to where it
// started, when the model was right.
#pragma once

#include <algorithm>

#include "hsogpu/hso_methods.hpp"

namespace hso::detail {

class Damping {
 public:
  explicit Damping(const HsoOptions& o) : o_(o), delta_(o.delta), eps_scale_(o.eps_scale) {}
  double delta() const { return delta_; }
  double eps_scale() const { return eps_scale_; }

  /// ratio = actual / predicted decrease of an accepted step.
  void accepted(double ratio) {
    if (!o_.adaptive) return;
    if (ratio < 0.25) return tighten();
    if (ratio <= 0.75) return;
    delta_ = std::max(delta_ / o_.decrease, std::min(o_.delta_min, delta_));
    eps_scale_ = std::min(eps_scale_ * 2, o_.eps_scale);
  }
  /// False when nothing can change any more: the next trial would be the same.
  bool rejected() {
    const double before = delta_, eps_before = eps_scale_;
    if (o_.adaptive) tighten();
    return delta_ != before || eps_scale_ != eps_before;
  }

 private:
  void tighten() {
    delta_ = std::min(delta_ * o_.increase, std::max(o_.delta_max, delta_));
    eps_scale_ /= 4;
  }
  HsoOptions o_;
  double delta_, eps_scale_;
};

}  // namespace hso::detail
