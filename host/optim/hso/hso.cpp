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
#include "optim/hso/damping.hpp"
#include "optim/hso/spectral.hpp"
#include "optim/hso/variable_scaling.hpp"
#include "optim/step/judged_step.hpp"

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
class Hso final : public JudgedStep<T> {
 public:
  explicit Hso(const HsoOptions& o)
      : JudgedStep<T>("hso"),
        o_(o),
        policy_(o.sign),
        kind_(o.curvature),
        control_(o.control),
        units_(o.scaling),
        damping_(o),
        region_({.poor_step = 2, .refusal = 4, .not_finite = 40}) {
    check_options(o);
  }
  bool dense() const override { return true; }

 private:
  using JudgedStep<T>::n;
  using JudgedStep<T>::ops;
  using JudgedStep<T>::gradient;
  using JudgedStep<T>::own_step;
  using JudgedStep<T>::point;

  Index vectors() const override { return 7; }
  void begin(Objective<T>& objective) override {
    Context& context = objective.context();
    require_memory(context, "hso: the dense curvature matrix and its eigendecomposition", n(),
                   [this](Index m) { return matrix_bytes(m); });
    matrix_ = Buffer<T>(context, checked_multiply(n(), n()));
    first_ = Buffer<T>();
    spectral_ = Buffer<T>(context, 4 * n());
    damping_ = Damping(o_);
    fresh_ = false;
    start_again(context);
  }
  void visit_method(StateVisitor& state, Objective<T>* coming) override {
    damping_.visit_state(state);
    region_.visit_state(state);
    scaling_.visit_state(state);
    if (state.reads()) first_ = Buffer<T>(coming->context(), n());
    state("first", first_);
    state("fresh", fresh_);
  }

  /// The value, the sizes of gradient and matrix, and later those of the residual and a step.
  Index numbers() const override { return 5; }
  void evaluate(Step<T>& s) override {
    if (first_.size() == 0) {
      first_ = Buffer<T>(s.objective.context(), n());
      ops().copy(n(), s.theta, first_.data());
    }
    this->linearize(s, kind_);
    s.curvature->to_dense(matrix_.data());
    ops().norms_on_device(n(), gradient(), point().take(2));
    ops().norms_on_device(n() * n(), matrix_.data(), point().take(2));
  }
  void read_point(StepReport& report) override {
    JudgedStep<T>::read_point(report);
    // Where the squares of a finite gradient leave the range of numbers.
    if (!(report.gradient_norm > 0 && std::isfinite(report.gradient_norm))) report.gradient_norm = point().numbers()[2];
    matrix_size_ = point().numbers()[4];
  }
  bool refuses_zero_gradients() const override { return false; }  // a saddle is left along its lowest eigenvector

  std::string prepare(Step<T>& s) override {
    StepReport& report = s.report;
    report.products = n();
    if (!std::isfinite(matrix_size_)) {
      report.status = StepStatus::not_finite;
      return "the curvature matrix is not finite";
    }
    Context& context = s.objective.context();
    scaling_.meet(context, matrix_.data());
    scaling_.divide_matrix(ops(), matrix_.data());
    gather_diagonal();
    if (std::string why = decompose(context, report, s.curvature->relative_error()); !why.empty()) return why;
    if (report.gradient_norm == 0 && !(in_region() && spectrum_.has_negative())) return stay(report);
    project_gradient();
    bound_drift(context, s.theta, report.loss_before);
    report.scaled_gradient = scaled_gradient(spectrum_, projected_, largest_slope_, report.loss_before);
    choose_radius(context, s.theta, std::fabs(report.loss_before));
    described_ = false;
    return {};
  }

  /// At a stationary point that the step has no way to leave.
  std::string stay(StepReport& report) const {
    describe_spectrum(report, spectrum_, sizeof(T) == sizeof(double));
    report.scaled_gradient = 0;
    report.status = StepStatus::rejected;
    return "the gradient is zero";
  }
  bool in_region() const { return control_ == StepControl::trust_region; }
  /// |D theta|, or 1 where its square is 0, but no less than what changes the value by a hundredth: along the gradient,
  /// or along the lowest eigenvector where it is a descent.
  void choose_radius(Context& context, const T* theta, double value) {
    if (!in_region() || region_.radius() > 0) return;
    constexpr double kShare = 0.01;
    double size = scaling_.size_of(context, theta), slope = 0;
    for (double c : projected_) slope = std::max(slope, std::fabs(c));
    if (!(size * size > 0)) size = 1;
    double least = slope > 0 ? kShare * value / slope : std::numeric_limits<double>::infinity();
    if (spectrum_.has_negative()) least = std::min(least, std::sqrt(2 * kShare * value / -spectrum_.values.front()));
    if (std::isfinite(least)) size = std::max(size, least);
    region_.start(std::isfinite(size) ? o_.radius * size : o_.radius);
  }
  /// A radius, or units met far away, in which no trial does anything: both are chosen anew, once until the next
  /// accepted step.
  void start_again(Context& context) {
    if (fresh_) return;
    region_.start(0);
    scaling_.start(context, n(), units_ == VariableScaling::curvature);
    fresh_ = true;
  }
  Index matrix_bytes(Index size) {
    return checked_multiply(checked_multiply(size, size), static_cast<Index>(sizeof(T))) +
           eigh_bytes<T>(ops().context(), size);
  }

  /// `error`: of the matrix, relative to its largest entry.
  std::string decompose(Context& context, StepReport& report, double error) {
    EighResult eigen = eigh(context, View<T>{matrix_.data(), Shape{n(), n()}, 1, n() * n()});
    if (!eigen.ok()) return fmt::format("the eigendecomposition: {}", name_of(eigen.status));
    if (!eigen.fallbacks.empty())
      report.message = fmt::format("hso: eigendecomposition by {}", fmt::join(eigen.fallbacks, ", "));
    spectrum_.values = std::move(eigen.values);
    spectrum_.summary =
        summarize_spectrum(spectrum_.values, o_.rank_tolerance > 0 ? o_.rank_tolerance : spectrum_tolerance<T>(n()));
    spectrum_.error = error * spectrum_.summary.largest;
    spectrum_.drift = 0;
    return {};
  }
  void bound_drift(Context& context, const T* theta, double value) {
    if (!spectrum_.has_negative()) return;
    const double extent = std::max(scaling_.size_of(context, theta), scaling_.size_of(context, first_.data()));
    spectrum_.drift = change_to_come(spectrum_, projected_, extent, value, std::numeric_limits<T>::epsilon());
  }
  /// The diagonal of D^-1 A D^-1, before the eigenvectors take its place.
  void gather_diagonal() {
    ops().for_each(n(), 1, Axpby<T>{T(1), matrix_.data(), n() + 1, T(0), spectral_.data() + 2 * n(), 1});
  }

  /// c = V g; row i of the matrix is eigenvector i.
  void to_eigenbasis(const T* x, T* c) { ops().gemm({n(), 1, n(), matrix_.data(), n(), false, x, 1, false, c, 1}); }
  /// x = V' c
  void from_eigenbasis(const T* c, T* x) {
    ops().gemm({1, n(), n(), c, n(), false, matrix_.data(), n(), false, x, n()});
  }
  /// V g, V r of the random r that inverse_residual asks about, the diagonal and D^-1 g.
  void project_gradient() {
    T* scaled = spectral_.data() + 3 * n();
    ops().copy(n(), gradient(), scaled);
    scaling_.divide(ops(), scaled);
    to_eigenbasis(scaled, spectral_.data());
    ops().for_each(1, n(), RandomFill<T>{own_step(), 0, 0, Distribution::rademacher, 0.0, 1.0});
    to_eigenbasis(own_step(), spectral_.data() + n());
    const std::vector<T> c = spectral_.download();
    projected_.assign(c.begin(), c.begin() + n());
    probe_.assign(c.begin() + n(), c.begin() + 2 * n());
    largest_slope_ = largest_slope({c.begin() + 2 * n(), c.begin() + 3 * n()}, {c.begin() + 3 * n(), c.end()},
                                   spectrum_.summary.tolerance);
  }
  /// For those who ask why no trial lowered the value: the largest cosine, and |s_i| / |theta_i| at the most, where s
  /// is the step without damping or radius.
  void describe_rest(Context& context, const T* theta, StepReport& report) {
    expand(undamped_step(spectrum_, projected_), own_step());
    scaling_.divide(ops(), own_step());
    std::vector<T> step(static_cast<std::size_t>(n())), at(step.size());
    context.to_host(own_step(), step.data(), n() * static_cast<Index>(sizeof(T)));
    context.to_host(theta, at.data(), n() * static_cast<Index>(sizeof(T)));
    double largest = 0;
    for (std::size_t i = 0; i < step.size(); ++i)
      if (step[i] != T(0)) largest = std::max(largest, std::fabs(static_cast<double>(step[i]) / at[i]));
    report.metrics.emplace_back("largest_cosine", largest_cosine(largest_slope_, report.loss_before));
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

  std::string propose(Step<T>& s) override {
    delta_ = delta_in_use();
    inverse_ = modify_inverse(spectrum_, policy_, delta_, eps_in_use());
    const bool in_double = sizeof(T) == sizeof(double);
    s.report.status = inverse_.singular ? StepStatus::singular : StepStatus::accepted;
    if (inverse_.singular) return singular_message(spectrum_, inverse_, policy_, delta_, in_double);
    point().start();
    if (!described_) queue_residual(*s.curvature);
    trial_ = spectral_step(spectrum_, inverse_, projected_, o_.rate);
    if (in_region()) trial_ = leave_saddle(spectrum_, policy_, projected_, trial_, region_.radius());
    expand(trial_.s, own_step());
    scaling_.divide(ops(), own_step());
    point().dot(ops(), n(), own_step(), own_step());
    point().post();
    return {};
  }

  std::string move(Step<T>& s) override {
    StepReport& report = s.report;
    value_ = this->value_at(s, own_step(), 1);
    const double square = point().values().back();  // before theta changes: nothing that can fail comes behind
    if (!described_) describe_spectrum(report, spectrum_, inverse_, residual(), sizeof(T) == sizeof(double));
    described_ = true;
    const double predicted = trial_.predicted_decrease, ratio = (report.loss_before - value_) / predicted;
    const bool lower = std::isfinite(value_) && value_ < report.loss_before;
    if (!lower || (in_region() && !(ratio > TrustRadius::kAccepted))) return "the loss did not become lower";
    ops().copy(n(), this->trial(), s.theta);
    fresh_ = false;
    report.loss_after = value_;
    report.step_norm = std::sqrt(square);
    report.metrics.emplace_back("delta", delta_);
    report.metrics.emplace_back("eps", inverse_.eps);
    report.metrics.emplace_back("predicted_decrease", predicted);
    report.metrics.emplace_back("ratio", ratio);
    report.metrics.emplace_back("descent", trial_.slope < 0);
    if (in_region()) report.metrics.emplace_back("radius", region_.radius());
    damping_.accepted(predicted > 0 ? ratio : 0);
    if (in_region()) region_.accepted(ratio, trial_.length, trial_.length);
    return {};
  }

  /// Not where nothing can change, or the model itself promises less than rounding.
  bool retry(Step<T>& s) override {
    if (inverse_.singular) {
      if (!(damping_.delta() > 0 && damping_.rejected())) return false;
      s.report.status = StepStatus::accepted;
      return true;
    }
    const bool damped = damping_.rejected();
    if (!in_region()) return damped;
    region_.rejected(value_, trial_.length);
    return std::fabs(trial_.predicted_decrease) >
           std::numeric_limits<double>::epsilon() * std::fabs(s.report.loss_before) / 4;
  }
  int max_trials() const override { return o_.max_trials; }
  void refused(Step<T>& s) override {
    if (s.report.status == StepStatus::singular) {
      if (!described_) describe_spectrum(s.report, spectrum_, sizeof(T) == sizeof(double));
      return;
    }
    describe_rest(s.objective.context(), s.theta, s.report);
    if (in_region()) start_again(s.objective.context());
  }
  std::string failure(const StepReport& report, const std::string& last) const override {
    if (report.status == StepStatus::singular) return last;
    return fmt::format("no trial out of {} lowered the loss {:.9g} (delta up to {:.3g})", report.trials,
                       report.loss_before, delta_);
  }

  /// |H x - V (lambda / phi) V'r| / |r| with x = V (1 / phi) V'r and a random r: one exact product says how well the
  /// inverse inverts. For `raw` without damping this is |H H^-1 r - r| / |r|.
  void queue_residual(LinearOperator<T>& curvature) {
    Scratch scratch(curvature.context());
    T* x = scratch.take<T>(n());
    T* hx = scratch.take<T>(n());
    std::vector<double> solved(probe_.size()), expected(probe_.size());
    for (std::size_t i = 0; i < probe_.size(); ++i) {
      solved[i] = inverse_.inverse[i] * probe_[i];
      expected[i] = spectrum_.values[i] * solved[i];
    }
    expand(solved, x);
    scaling_.divide(ops(), x);
    curvature.apply(vector_view<const T>(x, n()), vector_view(hx, n()));
    scaling_.divide(ops(), hx);
    expand(expected, x);
    ops().axpby(n(), T(-1), x, T(1), hx);
    point().dot(ops(), n(), hx, hx);
  }
  /// The norm of r is known: its entries are 1 and -1.
  double residual() { return std::sqrt(point().values()[0]) / std::sqrt(static_cast<double>(n())); }

  HsoOptions o_;
  SignPolicy policy_;
  Curvature kind_;
  StepControl control_;
  VariableScaling units_;
  Damping damping_;
  TrustRadius region_;
  DiagonalScaling<T> scaling_;
  Buffer<T> matrix_, spectral_;
  Buffer<T> first_;  ///< theta at the first step; empty before it
  Spectrum spectrum_;
  std::vector<double> projected_;
  bool fresh_ = true;         ///< radius and units, since the last accepted step
  double largest_slope_ = 0;  ///< max |g_i| / sqrt(|A_ii|)
  std::vector<T> probe_;
  double matrix_size_ = 0;  ///< the largest entry
  // Of the last trial.
  ModifiedInverse inverse_;
  SpectralStep trial_;
  double delta_ = 0, value_ = 0;
  bool described_ = false;  ///< the report has the spectrum
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
