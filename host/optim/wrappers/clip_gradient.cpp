// SPDX-License-Identifier: Apache-2.0
//
// The inner method sees gradients of bounded norm: an Objective around the Objective.
#include <cmath>

#include "hsogpu/objective/adapters.hpp"
#include "optim/wrappers/wrapper.hpp"

namespace hso::detail {
namespace {

template <class T>
class ClippedObjective final : public ObjectiveAdapter<T> {
 public:
  ClippedObjective(Objective<T>& objective, double bound) : ObjectiveAdapter<T>(objective), bound_(bound) {}
  double finish(const T*, double value, T* g) override {
    auto& ops = this->context().template ops<T>();
    const double norm = ops.nrm2(this->dimension(), g);
    if (first_norm_ < 0) first_norm_ = norm;
    // What is not finite stays so: the inner method refuses it.
    if (std::isfinite(norm) && norm > bound_) ops.axpby(this->dimension(), T(0), g, static_cast<T>(bound_ / norm), g);
    return value;
  }
  /// Of the first gradient, before clipping.
  double first_norm() const { return first_norm_; }

 private:
  double bound_, first_norm_ = -1;
};

template <class T>
class ClipGradientWrapper final : public Wrapper<T> {
 public:
  ClipGradientWrapper(Wrapped<T> inner, double bound) : Wrapper<T>(std::move(inner), "clip_gradient"), bound_(bound) {}

 private:
  void visit_own(StateVisitor&) override {}
  StepReport inner_step(Objective<T>& objective, T* theta) override {
    ClippedObjective<T> clipped(objective, bound_);
    StepReport report = this->inner().step(clipped, theta);
    if (clipped.first_norm() > bound_ && std::isfinite(clipped.first_norm())) {  // the true one stops a minimisation
      report.scaled_gradient *= clipped.first_norm() / bound_;
      report.gradient_norm = clipped.first_norm();
    }
    report.metrics.emplace_back("gradient_norm_before_clip", clipped.first_norm());
    return report;
  }
  bool change(const T*, T*, StepReport&) override { return false; }
  double bound_;
};

}  // namespace

template <class T>
Wrapped<T> wrap_clip_gradient(Wrapped<T> inner, const Values& v) {
  require_argument(v[0] > 0, "clip_gradient", "norm", v[0], "above 0");
  return std::make_unique<ClipGradientWrapper<T>>(std::move(inner), v[0]);
}

template Wrapped<float> wrap_clip_gradient(Wrapped<float>, const Values&);
template Wrapped<double> wrap_clip_gradient(Wrapped<double>, const Values&);

}  // namespace hso::detail
