// SPDX-License-Identifier: Apache-2.0
//
// HSO, matrix-free: -((A + delta I)^-1 + eps I) g by conjugate gradients, at any size.
#include "hsogpu/core/error.hpp"
#include "optim/hso/model_cg.hpp"
#include "optim/hso/model_step.hpp"
#include "optim/hso/preconditioner.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

constexpr const char* kName = "hso.cg";

void check(const HsoCgOptions& o) {
  require_option(o.iterations >= 1, kName, "iterations", o.iterations, "at least 1");
  require_option(o.progress >= 0, kName, "progress", o.progress, "0 or above");
  require_option(o.tolerance > 0, kName, "tolerance", o.tolerance, "above 0");
  require_option(o.warm_start >= 0 && o.warm_start < 1, kName, "warm_start", o.warm_start, "in [0, 1)");
  require_option(o.backtrack >= 0, kName, "backtrack", o.backtrack, "0 or above");
  require_option(o.line_search >= 0, kName, "line_search", o.line_search, "0 or above");
  require_option(o.refresh >= 1, kName, "refresh", o.refresh, "at least 1");
  require_option(o.radius > 0, kName, "radius", o.radius, "above 0");
  require_option(o.radius_max >= o.radius, kName, "radius_max", o.radius_max, "at least the radius");
  if (o.globalization != "damping" && o.globalization != "trust_region")
    throw UsageError(
        fmt::format("optimizer hso.cg: globalization = '{}', expected damping or trust_region", o.globalization));
}

template <class T>
class MatrixFree final : public ModelStep<T> {
 public:
  explicit MatrixFree(const HsoCgOptions& o)
      : ModelStep<T>(kName, common_options(kName, o)),
        o_(o),
        trust_(o.globalization == "trust_region"),
        preconditioner_(parse_preconditioning(o.preconditioner)),
        solver_({o.iterations, o.tolerance, o.progress, trust_ ? 0 : o.backtrack,
                 o.curvature == "ggn" || o.curvature.starts_with("fisher")}) {
    check(o);
    if (preconditioner_.any()) require_option(o.delta > 0, kName, "delta", o.delta, "above 0 with a preconditioner");
  }

 private:
  /// Of the solver and the start of the next solve; a preconditioner's own beside them.
  Index form_bytes(Context&, const ParameterLayout& layout) const override {
    const Index vectors = 5 + (trust_ ? 0 : o_.backtrack) + (preconditioner_.any() ? 2 : 0) + (warm() ? 2 : 0);
    return checked_multiply(vectors * static_cast<Index>(sizeof(T)), layout.n) + solver_.number_bytes();
  }
  void make_form_room(Objective<T>& objective) override {
    solver_.make_room(objective.context(), this->n(), preconditioner_.any());
    if (warm()) previous_ = Buffer<T>(objective.context(), this->n());
    started_ = false;
    radius_ = o_.radius;
    age_ = o_.refresh;
    if (preconditioner_.any()) preconditioner_.make_room(objective);
  }
  void visit_form(StateVisitor& state) override {
    solver_.visit_state(state);
    state("started", started_);
    if (started_) state("previous", previous_);
    state("radius", radius_);
    state("age", age_);
    if (preconditioner_.any() && age_ < o_.refresh) preconditioner_.visit_state(state);
  }
  std::string prepare(Objective<T>& objective, const T* theta, LinearOperator<T>&, StepReport&) override {
    if (this->fresh()) make_form_room(objective);
    if (!preconditioner_.any() || age_ < o_.refresh) return {};
    preconditioner_.renew(objective, theta);
    age_ = 0;
    return {};
  }

  std::string propose(LinearOperator<T>& curvature, const T* g, T* step, StepReport& report) override {
    const double delta = trust_ ? 0 : this->damping().delta();
    LinearOperator<T>* inverse = nullptr;
    result_ = {};
    if (preconditioner_.any()) try {
        inverse = &preconditioner_.at(trust_ ? o_.delta : delta);
      } catch (const NumericalError& e) {
        return e.what();
      }
    result_ = solver_.minimize(curvature, delta, g, inverse, started_ ? previous_.data() : nullptr,
                               trust_ ? radius_ : std::numeric_limits<double>::infinity());
    report.products += result_.products;
    if (result_.stop == ModelCgStop::not_finite || result_.stop == ModelCgStop::negative_curvature)
      return fmt::format("cg: {} at delta {:.3g}", name_of(result_.stop), delta);
    compose(solver_.x(), g, step);
    return {};
  }
  bool earlier(const T* g, T* step) override {
    const T* x = solver_.earlier();
    if (x != nullptr) compose(x, g, step);
    return x != nullptr;
  }
  /// rate (x - eps g)
  void compose(const T* x, const T* g, T* step) {
    double eps = o_.eps;
    if (result_.rayleigh > 0) eps += this->damping().eps_scale() / result_.rayleigh;
    this->ops().axpby(this->n(), static_cast<T>(o_.rate), x, T(0), step);
    if (eps > 0) this->ops().axpby(this->n(), static_cast<T>(-o_.rate * eps), g, T(1), step);
  }

  typename ModelStep<T>::Look looks() const override {
    using Base = ModelStep<T>;  // a preconditioner would keep what is not finite
    return preconditioner_.any() ? Base::Look::before_prepare : Base::Look::behind_propose;
  }
  bool warm() const { return o_.warm_start > 0 && !trust_; }
  int halvings() const override { return trust_ ? 0 : o_.line_search; }
  void taken(StepReport& report) override {
    if (warm()) {
      this->ops().axpby(this->n(), static_cast<T>(o_.warm_start), solver_.x(), T(0), previous_.data());
      started_ = true;
    }
    ++age_;
    report.metrics.emplace_back("cg_iterations", std::int64_t{result_.iterations});
    report.metrics.emplace_back("cg_stop", std::string(name_of(result_.stop)));
    if (trust_) report.metrics.emplace_back("radius", used_radius_);
  }
  void refused() override {
    started_ = false;
    age_ = o_.refresh;
  }

  /// Nocedal and Wright's algorithm 4.1.
  void adapt_accepted(double ratio) override {
    ModelStep<T>::adapt_accepted(ratio);
    used_radius_ = radius_;
    if (!trust_ || !o_.adaptive) return;
    if (ratio < 0.25) radius_ = result_.norm / 4;
    if (ratio > 0.75 && at_boundary()) radius_ = std::min(2 * radius_, o_.radius_max);
  }
  bool adapt_rejected() override {
    if (!trust_) return ModelStep<T>::adapt_rejected();
    if (!o_.adaptive || !(result_.norm > 0)) return false;
    radius_ = result_.norm / 4;
    return true;
  }
  bool at_boundary() const { return result_.stop == ModelCgStop::boundary; }

  HsoCgOptions o_;
  bool trust_;
  Preconditioner<T> preconditioner_;
  ModelCg<T> solver_;
  ModelCgResult result_;  ///< of the last solve
  Buffer<T> previous_;    ///< where the next solve starts
  bool started_ = false;  ///< previous_ holds something
  double radius_ = 0, used_radius_ = 0;
  int age_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_cg(const HsoCgOptions& options) {
  return std::make_unique<detail::MatrixFree<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_cg(const HsoCgOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_cg(const HsoCgOptions&);

}  // namespace hso
