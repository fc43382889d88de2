// SPDX-License-Identifier: Apache-2.0
//
// Levenberg and Marquardt's rule for the damping (Marquardt 1963; thresholds 1/4 and 3/4 as in Nocedal and Wright 2006,
// algorithm 4.1), and the matching rule for eps: it shrinks when the model was wrong and recovers, up to where it
// started, when the model was right. Trust radii follow the same ratio (More, LNM 630 (1978) 105, section 6).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/state.hpp"
#include "hsogpu/optim/hso.hpp"

namespace hso::detail {

class Damping {
 public:
  explicit Damping(const HsoOptions& o) : o_(o), delta_(o.delta), eps_scale_(o.eps_scale) {}
  double delta() const { return delta_; }
  double eps_scale() const { return eps_scale_; }
  void visit_state(StateVisitor& state) {
    state("delta", delta_);
    state("eps_scale", eps_scale_);
  }

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
    const double more = std::max(delta_ * o_.increase, o_.delta_min);  // leaves 0 too
    delta_ = std::min(more, std::max(o_.delta_max, delta_));
    eps_scale_ /= 4;
  }
  HsoOptions o_;
  double delta_, eps_scale_;
};

/// The radius of a trust region; 0: none was chosen yet.
class TrustRadius {
 public:
  static constexpr double kAccepted = 1e-4;  ///< a smaller ratio is a rejection
  struct Rules {
    double poor_step;            ///< what an accepted step's length is divided by where its ratio is below `poor`
    double refusal, not_finite;  ///< the same of a refused step; a value that is not finite lies far outside
    double poor = 0.25;
    double most = std::numeric_limits<double>::infinity();
  };
  explicit TrustRadius(const Rules& rules) : rules_(rules) {}
  double radius() const { return radius_; }
  void visit_state(StateVisitor& state) { state("radius", radius_); }
  void start(double radius) { radius_ = radius; }
  /// After a good step the radius is at least twice `reached`: the step's length, or 0 where it ended well inside.
  void accepted(double ratio, double length, double reached) {
    if (ratio < rules_.poor) radius_ = length / rules_.poor_step;
    if (ratio > 0.75) radius_ = std::min(std::max(radius_, 2 * reached), rules_.most);
  }
  void rejected(double value, double length) {
    radius_ = std::min(radius_, length) / (std::isfinite(value) ? rules_.refusal : rules_.not_finite);
  }

 private:
  Rules rules_;
  double radius_ = 0;
};

}  // namespace hso::detail
