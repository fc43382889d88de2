// SPDX-License-Identifier: Apache-2.0
//
// HSO, dense: one exact Hessian and one eigendecomposition serve every trial of a step. With units D the eigenbasis is
// that of D^-1 A D^-1: z = D s, and c = V D^-1 g.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "io/shown_text.hpp"
#include "linalg/queued_numbers.hpp"
#include "objective/network_curvature.hpp"
#include "optim/hso/damping.hpp"
#include "optim/hso/spectral.hpp"
#include "optim/hso/variable_scaling.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

void check_options(const HsoOptions& o) {
  require_option(o.rate > 0, "hso", "rate", o.rate, "above 0");
  require_option(o.delta >= 0, "hso", "delta", o.delta, "0 or above");
  require_option(o.eps >= 0, "hso", "eps", o.eps, "0 or above");
  require_option(o.eps_scale >= 0 && o.eps_scale < 1, "hso", "eps_scale", o.eps_scale,
                 "in [0, 1): a full step is unstable from 1 on");
  require_option(o.increase > 1, "hso", "increase", o.increase, "above 1");
  require_option(o.decrease >= 1, "hso", "decrease", o.decrease, "at least 1");
  require_option(o.max_trials >= 1, "hso", "max_trials", o.max_trials, "at least 1");
  require_option(o.rank_tolerance >= 0, "hso", "rank_tolerance", o.rank_tolerance, "0 or above");
  require_option(o.radius > 0, "hso", "radius", o.radius, "above 0");
}

template <class T>
class Hso final : public Optimizer<T> {
 public:
  explicit Hso(const HsoOptions& o)
      : o_(o),
        policy_(parse_sign_policy(o.sign)),
        kind_(parse_curvature(o.curvature)),
        control_(parse_step_control(o.control)),
        units_(parse_variable_scaling(o.scaling)),
        damping_(o) {
    check_options(o);
  }
  const std::string& name() const override {
    static const std::string kName = "hso";
    return kName;
  }
  bool full_batch() const override { return true; }
  bool dense() const override { return true; }
  Index bytes(Context&, const ParameterLayout& layout) const override {
    return checked_multiply(9 * static_cast<Index>(sizeof(T)), layout.n);
  }

  void visit_state(StateVisitor& state, Objective<T>* coming) override {
    if (!state.started(n_ >= 0)) {
      n_ = -1;
      return;
    }
    if (state.reads()) make_room(*coming);
    damping_.visit_state(state);
    region_.visit_state(state);
    scaling_.visit_state(state);
    state("first", first_);
    state("fresh", fresh_);
  }

  StepReport step(Objective<T>& objective, T* theta) override {
    if (make_room(objective)) ops_->copy(n_, theta, first_.data());
    StepReport report;
    const auto curvature = linearize(objective, theta, report);
    const double value = report.loss_before;
    report.trials = 0;
    if (!std::isfinite(value) || !std::isfinite(sizes_.gradient))
      return refuse(report, StepStatus::not_finite,
                    fmt::format("hso: loss {} or its gradient is not finite", unsigned_nan(value)));
    report.products = n_;
    if (!std::isfinite(sizes_.matrix))
      return refuse(report, StepStatus::not_finite, "hso: the curvature matrix is not finite");
    scaling_.meet(ops_->context(), matrix_.data());
    scaling_.divide_matrix(*ops_, matrix_.data());
    gather_diagonal();
    if (!decompose(report, curvature->relative_error())) return report;
    if (report.gradient_norm == 0 && !(in_region() && spectrum_.has_negative())) return stay(report);
    project_gradient();
    bound_drift(theta, value);
    report.scaled_gradient = scaled_gradient(spectrum_, projected_, largest_slope_, value);
    choose_radius(theta, std::fabs(value));
    try_steps(objective, theta, *curvature, report);
    if (report.status == StepStatus::rejected) {
      describe_rest(theta, value, report);
      start_again();
    }
    return report;
  }

 private:
  static StepReport refuse(StepReport& report, StepStatus status, const std::string& why) {
    report.status = status;
    report.message = why + "; parameters unchanged";
    return report;
  }

  /// At a stationary point that the step has no way to leave.
  StepReport stay(StepReport& report) const {
    describe_spectrum(report, spectrum_, sizeof(T) == sizeof(double));
    report.scaled_gradient = 0;
    return refuse(report, StepStatus::rejected, "hso: the gradient is zero");
  }

  /// Loss, gradient and curvature matrix at theta, and their sizes, which are read together.
  std::unique_ptr<LinearOperator<T>> linearize(Objective<T>& objective, const T* theta, StepReport& report) {
    numbers_->start();
    double* value_at = numbers_->take();
    auto curvature = linearize_on_device(objective, theta, gradient_.data(), kind_, value_at);
    const bool queued = curvature != nullptr;
    double value = 0;
    if (!queued) {
      auto at_once = objective.linearize(theta, gradient_.data(), kind_);
      value = at_once.value;
      curvature = std::move(at_once.curvature);
    }
    curvature->to_dense(matrix_.data());
    numbers_->dot(*ops_, n_, gradient_.data(), gradient_.data());
    ops_->norms_on_device(n_, gradient_.data(), numbers_->take(2));
    ops_->norms_on_device(n_ * n_, matrix_.data(), numbers_->take(2));
    numbers_->post();
    const Span<const double> found = numbers_->values();
    report.loss_before = report.loss_after = queued ? found[0] : value;
    sizes_ = {found[3], found[5]};
    report.gradient_norm = std::sqrt(found[1]);
    // Where the squares of a finite gradient leave the range of numbers.
    if (!(report.gradient_norm > 0 && std::isfinite(report.gradient_norm))) report.gradient_norm = sizes_.gradient;
    return curvature;
  }

  /// False where it is there.
  bool make_room(Objective<T>& objective) {
    if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return false;
    n_ = -1;  // until nothing has thrown
    Context& context = objective.context();
    const Index n = objective.dimension();
    ops_ = &context.template ops<T>();
    require_memory(context, "hso: the dense curvature matrix and its eigendecomposition", n,
                   [this](Index m) { return matrix_bytes(m); });
    matrix_ = Buffer<T>(context, checked_multiply(n, n));
    for (Buffer<T>* b : {&gradient_, &step_, &trial_, &first_}) *b = Buffer<T>(context, n);
    spectral_ = Buffer<T>(context, 4 * n);
    numbers_ = std::make_unique<QueuedNumbers>(context, 6);
    damping_ = Damping(o_);
    region_ = TrustRadius();
    fresh_ = true;
    scaling_.start(context, n, units_ == VariableScaling::curvature);
    n_ = n;
    return true;
  }
  bool in_region() const { return control_ == StepControl::trust_region; }
  /// |D theta|, or 1 where its square is 0, but no less than what changes the value by a hundredth: along the gradient,
  /// or along the lowest eigenvector where it is a descent.
  void choose_radius(const T* theta, double value) {
    if (!in_region() || region_.radius() > 0) return;
    constexpr double kShare = 0.01;
    double size = scaling_.size_of(ops_->context(), theta), slope = 0;
    for (double c : projected_) slope = std::max(slope, std::fabs(c));
    if (!(size * size > 0)) size = 1;
    double least = slope > 0 ? kShare * value / slope : std::numeric_limits<double>::infinity();
    if (spectrum_.has_negative()) least = std::min(least, std::sqrt(2 * kShare * value / -spectrum_.values.front()));
    if (std::isfinite(least)) size = std::max(size, least);
    region_.start(std::isfinite(size) ? o_.radius * size : o_.radius);
  }
  /// A radius, or units met far away, in which no trial does anything: both are chosen anew, once until the next
  /// accepted step.
  void start_again() {
    if (!in_region() || fresh_) return;
    region_ = TrustRadius();
    scaling_.start(ops_->context(), n_, units_ == VariableScaling::curvature);
    fresh_ = true;
  }
  Index matrix_bytes(Index n) const {
    return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T))) + eigh_bytes<T>(ops_->context(), n);
  }

  /// `error`: of the matrix, relative to its largest entry.
  bool decompose(StepReport& report, double error) {
    EighResult eigen = eigh(ops_->context(), View<T>{matrix_.data(), Shape{n_, n_}, 1, n_ * n_});
    if (!eigen.ok()) {
      refuse(report, StepStatus::singular, fmt::format("hso: the eigendecomposition: {}", name_of(eigen.status)));
      return false;
    }
    if (!eigen.fallbacks.empty())
      report.message = fmt::format("hso: eigendecomposition by {}", fmt::join(eigen.fallbacks, ", "));
    spectrum_.values = std::move(eigen.values);
    spectrum_.summary =
        summarize_spectrum(spectrum_.values, o_.rank_tolerance > 0 ? o_.rank_tolerance : spectrum_tolerance<T>(n_));
    spectrum_.error = error * spectrum_.summary.largest;
    spectrum_.drift = 0;
    return true;
  }
  void bound_drift(const T* theta, double value) {
    if (!spectrum_.has_negative()) return;
    Context& context = ops_->context();
    const double extent = std::max(scaling_.size_of(context, theta), scaling_.size_of(context, first_.data()));
    spectrum_.drift = change_to_come(spectrum_, projected_, extent, value, std::numeric_limits<T>::epsilon());
  }
  /// The diagonal of D^-1 A D^-1, before the eigenvectors take its place.
  void gather_diagonal() {
    ops_->for_each(n_, 1, Axpby<T>{T(1), matrix_.data(), n_ + 1, T(0), spectral_.data() + 2 * n_, 1});
  }

  /// c = V g; row i of the matrix is eigenvector i.
  void to_eigenbasis(const T* x, T* c) { ops_->gemm({n_, 1, n_, matrix_.data(), n_, false, x, 1, false, c, 1}); }
  /// x = V' c
  void from_eigenbasis(const T* c, T* x) { ops_->gemm({1, n_, n_, c, n_, false, matrix_.data(), n_, false, x, n_}); }
  /// V g, V r of the random r that inverse_residual asks about, the diagonal and D^-1 g.
  void project_gradient() {
    T* scaled = spectral_.data() + 3 * n_;
    ops_->copy(n_, gradient_.data(), scaled);
    scaling_.divide(*ops_, scaled);
    to_eigenbasis(scaled, spectral_.data());
    ops_->for_each(1, n_, RandomFill<T>{step_.data(), 0, 0, Distribution::rademacher, 0.0, 1.0});
    to_eigenbasis(step_.data(), spectral_.data() + n_);
    const std::vector<T> c = spectral_.download();
    projected_.assign(c.begin(), c.begin() + n_);
    probe_.assign(c.begin() + n_, c.begin() + 2 * n_);
    largest_slope_ = largest_slope({c.begin() + 2 * n_, c.begin() + 3 * n_}, {c.begin() + 3 * n_, c.end()},
                                   spectrum_.summary.tolerance);
  }
  /// For those who ask why no trial lowered the value: the largest cosine, and |s_i| / |theta_i| at the most, where s
  /// is the step without damping or radius.
  void describe_rest(const T* theta, double value, StepReport& report) {
    expand(undamped_step(spectrum_, projected_), step_.data());
    scaling_.divide(*ops_, step_.data());
    const auto n = static_cast<std::size_t>(n_);
    std::vector<T> step(n), at(n);
    ops_->context().to_host(step_.data(), step.data(), n_ * static_cast<Index>(sizeof(T)));
    ops_->context().to_host(theta, at.data(), n_ * static_cast<Index>(sizeof(T)));
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (step[i] != T(0)) largest = std::max(largest, std::fabs(static_cast<double>(step[i]) / at[i]));
    report.metrics.emplace_back("largest_cosine", largest_cosine(largest_slope_, value));
    report.metrics.emplace_back("relative_step", largest);
  }
  void expand(const std::vector<double>& coefficients, T* x) {
    const std::vector<T> narrowed(coefficients.begin(), coefficients.end());
    spectral_.upload(narrowed);  // the front half
    from_eigenbasis(spectral_.data(), x);
  }

  /// In a trust region at most what leaves half of the radius to the inverse.
  double eps_in_use() const {
    const double eps = o_.eps + (spectrum_.summary.largest > 0 ? damping_.eps_scale() / spectrum_.summary.largest : 0);
    if (!in_region()) return eps;
    double size = 0;
    for (double c : projected_) size += c * c;
    return size > 0 ? std::min(eps, region_.radius() / (2 * o_.rate * std::sqrt(size))) : eps;
  }
  double delta_in_use() const {
    if (!in_region()) return damping_.delta();
    return delta_of_radius(spectrum_, policy_, eps_in_use(), projected_, o_.rate, region_.radius());
  }

  void try_steps(Objective<T>& objective, T* theta, LinearOperator<T>& curvature, StepReport& report) {
    bool described = false, can_retry = true;
    double delta = 0;
    while (can_retry && report.trials < o_.max_trials) {
      ++report.trials;
      delta = delta_in_use();
      const ModifiedInverse inverse = modify_inverse(spectrum_, policy_, delta, eps_in_use());
      if (inverse.singular) {
        if (damping_.delta() > 0 && damping_.rejected()) continue;
        if (!described) describe_spectrum(report, spectrum_, sizeof(T) == sizeof(double));
        refuse(report, StepStatus::singular,
               singular_message(spectrum_, inverse, o_.sign, delta, sizeof(T) == sizeof(double)));
        return;
      }
      numbers_->start();
      if (!described) queue_residual(curvature, inverse);
      const Trial trial = try_one(objective, theta, inverse, report);
      if (!described) describe_spectrum(report, spectrum_, inverse, residual(), sizeof(T) == sizeof(double));
      described = true;
      if (trial.accepted) {
        accept(trial, delta, inverse.eps, report);
        return;
      }
      can_retry = reject(trial, report.loss_before);
    }
    refuse(report, StepStatus::rejected,
           fmt::format("hso: no trial out of {} lowered the loss {:.9g} (delta up to {:.3g})", report.trials,
                       report.loss_before, delta));
  }

  struct Trial {
    double value, ratio, predicted, slope, length;
    bool accepted;
  };

  Trial try_one(Objective<T>& objective, T* theta, const ModifiedInverse& inverse, const StepReport& report) {
    SpectralStep step = spectral_step(spectrum_, inverse, projected_, o_.rate);
    if (in_region()) step = leave_saddle(spectrum_, policy_, projected_, step, region_.radius());
    expand(step.s, step_.data());
    scaling_.divide(*ops_, step_.data());
    ops_->copy(n_, theta, trial_.data());
    ops_->axpby(n_, T(1), step_.data(), T(1), trial_.data());
    numbers_->dot(*ops_, n_, step_.data(), step_.data());
    numbers_->post();
    const double value = objective.value(trial_.data());
    numbers_->values();  // before theta changes: nothing that can fail comes behind
    const double ratio = (report.loss_before - value) / step.predicted_decrease;
    bool lower = std::isfinite(value) && value < report.loss_before;
    if (in_region()) lower = lower && ratio > TrustRadius::kAccepted;
    if (lower) ops_->copy(n_, trial_.data(), theta);
    return {value, ratio, step.predicted_decrease, step.slope, step.length, lower};
  }

  void accept(const Trial& trial, double delta, double eps, StepReport& report) {
    fresh_ = false;
    report.loss_after = trial.value;
    report.step_norm = std::sqrt(numbers_->values().back());
    report.metrics.emplace_back("delta", delta);
    report.metrics.emplace_back("eps", eps);
    report.metrics.emplace_back("predicted_decrease", trial.predicted);
    report.metrics.emplace_back("ratio", trial.ratio);
    report.metrics.emplace_back("descent", trial.slope < 0);
    if (in_region()) report.metrics.emplace_back("radius", region_.radius());
    damping_.accepted(trial.predicted > 0 ? trial.ratio : 0);
    if (in_region()) region_.accepted(trial.ratio, trial.length);
  }

  /// False when another trial would be in vain: nothing can change, or the model itself promises less than rounding.
  bool reject(const Trial& trial, double loss) {
    const bool damped = damping_.rejected();
    if (!in_region()) return damped;
    region_.rejected(trial.value, trial.length);
    return std::fabs(trial.predicted) > std::numeric_limits<double>::epsilon() * std::fabs(loss) / 4;
  }

  /// |H x - V (lambda / phi) V'r| / |r| with x = V (1 / phi) V'r and a random r: one exact product says how well the
  /// inverse inverts. For `raw` without damping this is |H H^-1 r - r| / |r|.
  void queue_residual(LinearOperator<T>& curvature, const ModifiedInverse& inverse) {
    Scratch scratch(ops_->context());
    T* x = scratch.take<T>(n_);
    T* hx = scratch.take<T>(n_);
    std::vector<double> solved(probe_.size()), expected(probe_.size());
    for (std::size_t i = 0; i < probe_.size(); ++i) {
      solved[i] = inverse.inverse[i] * probe_[i];
      expected[i] = spectrum_.values[i] * solved[i];
    }
    expand(solved, x);
    scaling_.divide(*ops_, x);
    curvature.apply(vector_view<const T>(x, n_), vector_view(hx, n_));
    scaling_.divide(*ops_, hx);
    expand(expected, x);
    ops_->axpby(n_, T(-1), x, T(1), hx);
    numbers_->dot(*ops_, n_, hx, hx);
  }
  /// The norm of r is known: its entries are 1 and -1.
  double residual() { return std::sqrt(numbers_->values()[0]) / std::sqrt(static_cast<double>(n_)); }

  HsoOptions o_;
  SignPolicy policy_;
  Curvature kind_;
  StepControl control_;
  VariableScaling units_;
  Damping damping_;
  TrustRadius region_;
  DiagonalScaling<T> scaling_;
  Index n_ = -1;
  Ops<T>* ops_ = nullptr;
  Buffer<T> matrix_, gradient_, spectral_, step_, trial_;
  Buffer<T> first_;  ///< theta at the first step
  Spectrum spectrum_;
  std::vector<double> projected_;
  bool fresh_ = true;         ///< radius and units, since the last accepted step
  double largest_slope_ = 0;  ///< max |g_i| / sqrt(|A_ii|)
  std::vector<T> probe_;
  std::unique_ptr<QueuedNumbers> numbers_;  ///< of the point, then of the residual and a step
  struct {
    double gradient, matrix;
  } sizes_{};  ///< largest entries
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso(const HsoOptions& options) {
  return std::make_unique<detail::Hso<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso(const HsoOptions&);
template std::unique_ptr<Optimizer<double>> make_hso(const HsoOptions&);

}  // namespace hso
