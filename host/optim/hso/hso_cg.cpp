// SPDX-License-Identifier: Apache-2.0
//
// HSO, matrix-free: -((A + delta I)^-1 + eps I) g by conjugate gradients, at any size.
#include "hsogpu/core/error.hpp"
#include "optim/hso/model_cg.hpp"
#include "optim/hso/model_step.hpp"
#include "optim/hso/preconditioner.hpp"

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
  require_option(o.memory >= 1, kName, "memory", o.memory, "at least 1");
  require_option(o.refresh >= 1, kName, "refresh", o.refresh, "at least 1");
  require_option(o.radius > 0, kName, "radius", o.radius, "above 0");
  require_option(o.radius_max >= o.radius, kName, "radius_max", o.radius_max, "at least the radius");
}

/// Positive semidefinite, by products that are exact.
bool is_definite(Curvature kind) {
  return kind == Curvature::ggn || kind == Curvature::fisher_mc || kind == Curvature::fisher_empirical;
}

template <class T>
class MatrixFree final : public ModelStep<T> {
 public:
  explicit MatrixFree(const HsoCgOptions& o)
      : ModelStep<T>(kName, common_options(kName, o)),
        o_(o),
        trust_(o.globalization == StepControl::trust_region),
        recycles_(o.preconditioner == Preconditioning::lbfgs),
        preconditioner_(o.preconditioner),
        pairs_(o.memory),
        solver_({o.iterations, o.tolerance, o.progress, trust_ ? 0 : o.backtrack, is_definite(o.curvature)}),
        region_({.poor_step = 4, .refusal = 4, .not_finite = 4, .most = o.radius_max}) {
    check(o);
    if (preconditioner_.any()) require_option(o.delta > 0, kName, "delta", o.delta, "above 0 with a preconditioner");
  }

 private:
  /// Of the solver and the start of the next solve; a preconditioner's own beside them.
  Index form_bytes(Context&, const ParameterLayout& layout) const override {
    const Index own = preconditioner_.any() ? 2 : recycles_ ? 1 : 0;
    const Index vectors = 5 + (trust_ ? 0 : o_.backtrack) + own + (warm() ? 2 : 0);
    return checked_multiply(vectors * static_cast<Index>(sizeof(T)), layout.n) + solver_.number_bytes() +
           (recycles_ ? pairs_.bytes(layout.n) : 0);
  }
  void make_form_room(Objective<T>& objective) override {
    solver_.make_room(objective.context(), this->n(), preconditioner_.any() || recycles_);
    if (recycles_) {
      pairs_.make_room(objective.context(), this->n());
      solver_.collect(pairs_);
    }
    if (warm()) previous_ = Buffer<T>(objective.context(), this->n());
    started_ = false;
    region_.start(o_.radius);
    age_ = o_.refresh;
    if (preconditioner_.any()) preconditioner_.make_room(objective);
  }
  void visit_form(StateVisitor& state) override {
    solver_.visit_state(state);
    state("started", started_);
    if (started_) state("previous", previous_);
    region_.visit_state(state);
    state("age", age_);
    if (preconditioner_.any() && age_ < o_.refresh) preconditioner_.visit_state(state);
    if (recycles_) state.part("pairs", [&] { pairs_.visit_state(state); });
  }
  std::string prepare(Step<T>& s) override {
    if (this->fresh()) make_form_room(s.objective);
    if (!preconditioner_.any() || age_ < o_.refresh) return {};
    preconditioner_.renew(s.objective, s.theta);
    age_ = 0;
    return {};
  }

  std::string propose(Step<T>& s) override {
    const double delta = trust_ ? 0 : this->damping().delta();
    LinearOperator<T>* inverse = nullptr;
    result_ = {};
    if (preconditioner_.any()) try {
        inverse = &preconditioner_.at(trust_ ? o_.delta : delta);
      } catch (const NumericalError& e) {
        return e.what();
      }
    if (recycles_ && pairs_.renew(delta)) inverse = &pairs_;
    result_ = solver_.minimize(*s.curvature, delta, this->gradient(), inverse, started_ ? previous_.data() : nullptr,
                               trust_ ? region_.radius() : std::numeric_limits<double>::infinity());
    s.report.products += result_.products;
    if (result_.stop == ModelCgStop::not_finite || result_.stop == ModelCgStop::negative_curvature)
      return fmt::format("cg: {} at delta {:.3g}", name_of(result_.stop), delta);
    compose(solver_.x(), this->own_step());
    whole_ = true;
    return {};
  }
  bool earlier(T* step) override {
    const T* x = solver_.earlier();
    if (x != nullptr) compose(x, step);
    if (x != nullptr) whole_ = false;  // own_step() may become it
    return x != nullptr;
  }
  bool knows_product(T* as) override {
    if (!whole_ || eps() > 0) return false;
    solver_.product(as);
    this->ops().axpby(this->n(), T(0), as, static_cast<T>(o_.rate), as);
    return true;
  }
  double eps() const { return o_.eps + (result_.rayleigh > 0 ? this->damping().eps_scale() / result_.rayleigh : 0); }
  /// rate (x - eps g)
  void compose(const T* x, T* step) {
    const double eps = this->eps();
    this->ops().axpby(this->n(), static_cast<T>(o_.rate), x, T(0), step);
    if (eps > 0) this->ops().axpby(this->n(), static_cast<T>(-o_.rate * eps), this->gradient(), T(1), step);
  }

  Look looks() const override {  // a preconditioner would keep what is not finite
    return preconditioner_.any() ? Look::before_prepare : Look::behind_propose;
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
  void refused(Step<T>&) override {
    started_ = false;
    age_ = o_.refresh;
    if (recycles_) pairs_.clear();
  }

  void adapt_accepted(double ratio) override {
    ModelStep<T>::adapt_accepted(ratio);
    used_radius_ = region_.radius();
    if (trust_ && o_.adaptive)
      region_.accepted(ratio, result_.norm, result_.stop == ModelCgStop::boundary ? result_.norm : 0);
  }
  bool adapt_rejected() override {
    if (!trust_) return ModelStep<T>::adapt_rejected();
    if (!o_.adaptive || !(result_.norm > 0)) return false;
    region_.rejected(0, result_.norm);
    return true;
  }

  HsoCgOptions o_;
  bool trust_, recycles_;
  Preconditioner<T> preconditioner_;
  LbfgsInverse<T> pairs_;
  ModelCg<T> solver_;
  ModelCgResult result_;  ///< of the last solve
  Buffer<T> previous_;    ///< where the next solve starts
  bool started_ = false;  ///< previous_ holds something
  bool whole_ = false;    ///< own_step() comes from the last iterate
  TrustRadius region_;
  double used_radius_ = 0;
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
