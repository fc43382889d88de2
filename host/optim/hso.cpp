// SPDX-License-Identifier: Apache-2.0
//
// HSO, dense: one exact Hessian and one eigendecomposition serve every trial of a step.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/linalg.hpp"
#include "optim/damping.hpp"
#include "optim/descent.hpp"
#include "optim/spectral.hpp"

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
}

template <class T>
class Hso final : public Optimizer<T> {
 public:
  explicit Hso(const HsoOptions& o)
      : o_(o), policy_(parse_sign_policy(o.sign)), kind_(parse_curvature(o.curvature)), damping_(o) {
    check_options(o);
  }
  const std::string& name() const override {
    static const std::string kName = "hso";
    return kName;
  }
  bool full_batch() const override { return true; }
  bool dense() const override { return true; }

  StepReport step(Objective<T>& objective, T* theta) override {
    prepare(objective);
    StepReport report;
    auto [value, curvature] = objective.linearize(theta, gradient_.data(), kind_);
    report.loss_before = report.loss_after = value;
    report.gradient_norm = ops_->nrm2(n_, gradient_.data());
    report.trials = 0;
    if (!std::isfinite(value) || !std::isfinite(ops_->max_abs(n_, gradient_.data())))
      return refuse(report, StepStatus::not_finite, fmt::format("hso: loss {} or its gradient is not finite", value));
    curvature->to_dense(matrix_.data());
    report.products = n_;
    if (!std::isfinite(ops_->max_abs(n_ * n_, matrix_.data())))
      return refuse(report, StepStatus::not_finite, "hso: the curvature matrix is not finite");
    if (!decompose(report)) return report;
    project_gradient();
    try_steps(objective, theta, *curvature, report);
    return report;
  }

 private:
  static StepReport refuse(StepReport& report, StepStatus status, const std::string& why) {
    report.status = status;
    report.message = why + "; parameters unchanged";
    return report;
  }

  void prepare(Objective<T>& objective) {
    if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
    n_ = objective.dimension();
    Context& context = objective.context();
    ops_ = &context.template ops<T>();
    require_memory(context, "hso: the dense curvature matrix and its eigendecomposition", n_,
                   [this](Index n) { return matrix_bytes(n); });
    matrix_ = Buffer<T>(context, checked_multiply(n_, n_));
    for (Buffer<T>* b : {&gradient_, &spectral_, &step_, &trial_}) *b = Buffer<T>(context, n_);
    damping_ = Damping(o_);
  }
  Index matrix_bytes(Index n) const {
    return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T))) + eigh_bytes<T>(ops_->context(), n);
  }

  bool decompose(StepReport& report) {
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
    return true;
  }

  /// c = V g; row i of the matrix is eigenvector i.
  void to_eigenbasis(const T* x, T* c) { ops_->gemm({n_, 1, n_, matrix_.data(), n_, false, x, 1, false, c, 1}); }
  /// x = V' c
  void from_eigenbasis(const T* c, T* x) { ops_->gemm({1, n_, n_, c, n_, false, matrix_.data(), n_, false, x, n_}); }
  void project_gradient() {
    to_eigenbasis(gradient_.data(), spectral_.data());
    const std::vector<T> c = spectral_.download();
    projected_.assign(c.begin(), c.end());
  }
  void expand(const std::vector<double>& coefficients, T* x) {
    const std::vector<T> narrowed(coefficients.begin(), coefficients.end());
    spectral_.upload(narrowed);
    from_eigenbasis(spectral_.data(), x);
  }

  double eps_in_use() const {
    return o_.eps + (spectrum_.summary.largest > 0 ? damping_.eps_scale() / spectrum_.summary.largest : 0);
  }

  void try_steps(Objective<T>& objective, T* theta, LinearOperator<T>& curvature, StepReport& report) {
    bool described = false;
    bool can_retry = true;
    while (can_retry && report.trials < o_.max_trials) {
      ++report.trials;
      const ModifiedInverse inverse = modify_inverse(spectrum_, policy_, damping_.delta(), eps_in_use());
      if (inverse.singular) {
        if (damping_.delta() > 0 && damping_.rejected()) continue;
        refuse(report, StepStatus::singular, singular_message(inverse));
        return;
      }
      const double residual = described ? 0 : inverse_residual(curvature, inverse);
      if (!described) describe(report, inverse, residual);
      described = true;
      if (try_one(objective, theta, inverse, report)) return;
      can_retry = damping_.rejected();
    }
    refuse(report, StepStatus::rejected,
           fmt::format("hso: no trial out of {} lowered the loss {:.9g} (delta up to {:.3g})", report.trials,
                       report.loss_before, damping_.delta()));
  }

  bool try_one(Objective<T>& objective, T* theta, const ModifiedInverse& inverse, StepReport& report) {
    const double delta = damping_.delta();
    const SpectralStep step = spectral_step(spectrum_, inverse, projected_, o_.rate);
    expand(step.s, step_.data());
    ops_->copy(n_, theta, trial_.data());
    ops_->axpby(n_, T(1), step_.data(), T(1), trial_.data());
    const double value = objective.value(trial_.data());
    if (!std::isfinite(value) || !(value < report.loss_before)) return false;
    const double ratio = (report.loss_before - value) / step.predicted_decrease;
    ops_->copy(n_, trial_.data(), theta);
    report.loss_after = value;
    report.step_norm = ops_->nrm2(n_, step_.data());
    report.metrics.emplace_back("delta", delta);
    report.metrics.emplace_back("eps", inverse.eps);
    report.metrics.emplace_back("predicted_decrease", step.predicted_decrease);
    report.metrics.emplace_back("ratio", ratio);
    report.metrics.emplace_back("descent", step.slope < 0);
    damping_.accepted(step.predicted_decrease > 0 ? ratio : 0);
    return true;
  }

  /// |H x - V (lambda / phi) V'r| / |r| with x = V (1 / phi) V'r and a random r: one exact product says how well the
  /// inverse inverts. For `raw` without damping this is |H H^-1 r - r| / |r|.
  double inverse_residual(LinearOperator<T>& curvature, const ModifiedInverse& inverse) {
    Scratch scratch(ops_->context());
    T* r = scratch.take<T>(n_);
    T* x = scratch.take<T>(n_);
    T* hx = scratch.take<T>(n_);
    ops_->for_each(1, n_, RandomFill<T>{r, 0, 0, Distribution::rademacher, 0.0, 1.0});
    to_eigenbasis(r, spectral_.data());
    const std::vector<T> c = spectral_.download();
    std::vector<double> solved(c.size()), expected(c.size());
    for (std::size_t i = 0; i < c.size(); ++i) {
      solved[i] = inverse.inverse[i] * c[i];
      expected[i] = spectrum_.values[i] * solved[i];
    }
    expand(solved, x);
    curvature.apply(vector_view<const T>(x, n_), vector_view(hx, n_));
    expand(expected, x);
    ops_->axpby(n_, T(-1), x, T(1), hx);
    return ops_->nrm2(n_, hx) / ops_->nrm2(n_, r);
  }

  /// Counts of near-zero eigenvalues say nothing when rounding alone is as large as the tolerance.
  bool counts_mean_something() const { return sizeof(T) == sizeof(double) || spectrum_.summary.inertia.zero == 0; }

  void describe(StepReport& report, const ModifiedInverse& inverse, double residual) const {
    auto& m = report.metrics;
    const auto count = [&](const char* name, Index value) {
      if (counts_mean_something())
        m.emplace_back(name, std::int64_t{value});
      else
        m.emplace_back(name, std::string("not meaningful in float32"));
    };
    m.emplace_back("lambda_min", spectrum_.values.front());
    m.emplace_back("lambda_max", spectrum_.values.back());
    count("n_positive", spectrum_.summary.inertia.positive);
    count("n_zero", spectrum_.summary.inertia.zero);
    count("n_negative", spectrum_.summary.inertia.negative);
    count("rank", spectrum_.summary.rank);
    count("rank_modified", inverse.rank());
    const double smallest = spectrum_.smallest_nonzero();
    m.emplace_back("condition", smallest > 0 ? spectrum_.summary.largest / smallest : 0.0);
    m.emplace_back("condition_damped", inverse.kept > 0 ? inverse.largest_phi / inverse.smallest_phi : 0.0);
    m.emplace_back("inverse_residual", residual);
  }

  std::string singular_message(const ModifiedInverse& inverse) const {
    const std::string how_many = counts_mean_something()
                                     ? fmt::format("{} of {} eigenvalues are at most {:.3g} in size",
                                                   spectrum_.summary.inertia.zero, n_, spectrum_.summary.tolerance)
                                     : "how many eigenvalues are zero cannot be told in float32";
    return fmt::format(
        "hso: sign = {} with delta = {:.3g} cannot be inverted: {}, smallest |phi| = {:.3g}; give delta > 0, or "
        "sign = truncate",
        o_.sign, damping_.delta(), how_many, inverse.smallest_phi);
  }

  HsoOptions o_;
  SignPolicy policy_;
  Curvature kind_;
  Damping damping_;
  Index n_ = -1;
  Ops<T>* ops_ = nullptr;
  Buffer<T> matrix_, gradient_, spectral_, step_, trial_;
  Spectrum spectrum_;
  std::vector<double> projected_;
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
