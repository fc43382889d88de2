// SPDX-License-Identifier: Apache-2.0
//
// HSO, low rank: Ritz pairs of the curvature by Lanczos, -(V' diag(1 / phi) V + eps I) g, and eps_P on what the pairs
// do not span.
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "optim/choices.hpp"
#include "optim/hso/krylov_pairs.hpp"
#include "optim/hso/model_step.hpp"
#include "optim/hso/spectral.hpp"

namespace hso {
namespace detail {
namespace {

constexpr const char* kName = "hso.lowrank";
constexpr double kRestThatCounts = 1e-3;  ///< |P g| / |g|

template <class T>
class LowRank final : public ModelStep<T> {
 public:
  explicit LowRank(const HsoLowRankOptions& o)
      : ModelStep<T>(kName, common_options(kName, o)),
        o_(o),
        policy_(o.sign),
        from_gradient_(o.start == LanczosStart::gradient) {
    require_option(o.rank >= 0, kName, "rank", o.rank, "0 (8, or n where that is smaller) or above");
    require_option(o.steps == 0 || o.steps >= o.rank, kName, "steps", o.steps, "0 or at least the rank");
    require_option(o.refresh >= 1, kName, "refresh", o.refresh, "at least 1");
    require_option(o.tolerance > 0, kName, "tolerance", o.tolerance, "above 0");
  }

 private:
  Index rank_at(Index n) const { return o_.rank > 0 ? o_.rank : std::min<Index>(8, n); }
  /// Lanczos steps of one refresh: the vectors of the basis.
  Index steps_at(Index n) const {
    const Index rank = rank_at(n), steps = o_.steps > 0 ? o_.steps : from_gradient_ ? rank : 4 * rank + 20;
    return std::clamp(steps, rank, std::max(rank, n));
  }
  Index form_bytes(Context&, const ParameterLayout& layout) const override {
    const Index parts = checked_multiply(4 * static_cast<Index>(sizeof(T)), layout.n);
    const Index kept = o_.refresh > 1 ? 2 * rank_at(layout.n) : 0;  // pairs for a step back, on their way to it
    return KrylovPairs<T>::bytes(layout.n, steps_at(layout.n)) + parts +
           checked_multiply(kept * static_cast<Index>(sizeof(T)), layout.n);
  }
  std::string prepare(Step<T>& s) override {
    StepReport& report = s.report;
    if (this->fresh()) make_form_room(s.objective);
    if (ready_ && age_ < o_.refresh) return {};
    ready_ = false;
    const T* start = this->gradient();
    if (!from_gradient_) {
      this->ops().for_each(1, n_, RandomFill<T>{parts_.data(), o_.seed, 0, Distribution::normal, 0, 1});
      start = parts_.data();
    }
    const bool finite = pairs_->refresh(*s.curvature, start, rank_, from_gradient_ ? 0 : o_.tolerance, o_.seed);
    report.products += pairs_->products();
    if (!finite) {
      report.status = StepStatus::not_finite;
      return "a curvature product is not finite";
    }
    ready_ = true;
    age_ = 0;
    spectrum_.values = pairs_->values();
    spectrum_.summary = summarize(spectrum_.values);
    bound_ = spectrum_.summary.largest;
    if (!from_gradient_)
      for (double v : spectrum_.values) bound_ = std::min(bound_, std::abs(v));
    report.metrics.emplace_back("rank", std::int64_t{pairs_->count()});
    report.metrics.emplace_back("lambda_min", spectrum_.values.front());
    report.metrics.emplace_back("lambda_max", spectrum_.values.back());
    return {};
  }

  /// Zero is what rounding may have made: the values are few, and no dense solver's n eps has touched them.
  SpectrumSummary summarize(const std::vector<double>& values) const {
    const SpectrumSummary s = summarize_spectrum(values, krylov_tolerance<T>());
    return s.largest > 0 && pairs_->rounding() > s.tolerance
               ? summarize_spectrum(values, pairs_->rounding() / s.largest)
               : s;
  }

  void make_form_room(Objective<T>& objective) override {
    Context& context = objective.context();
    const Index n = this->n();
    if (o_.rank > n)
      throw UsageError(fmt::format("optimizer {}: rank = {}, expected at most n = {}", kName, o_.rank, n));
    rank_ = rank_at(n);
    pairs_ = std::make_unique<KrylovPairs<T>>(context, n, steps_at(n));
    parts_ = Buffer<T>(context, 4 * n);
    numbers_ = Buffer<double>(context, 5);
    readback_ = context.make_readback(1);
    n_ = n;
    ready_ = false;
  }

  void visit_form(StateVisitor& state) override {
    state("ready", ready_);
    state("age", age_);
    state.part("basis", [&] { pairs_->visit_counters(state); });
    if (!ready_ || age_ >= o_.refresh) return;  // the next step makes all that follows
    state.part("pairs", [&] { pairs_->visit_pairs(state); });
    state.part("spectrum", [&] { spectrum_.visit_state(state); });
    state("bound", bound_);
  }

  std::string propose(Step<T>& s) override {
    const T* g = this->gradient();
    T* step = this->own_step();
    const double delta = this->damping().delta();
    const ModifiedInverse inverse = modify_inverse(spectrum_, policy_, delta, o_.eps);
    if (inverse.singular)
      return fmt::format("sign = {} with delta = {:.3g} cannot be inverted", word_of(policy_), delta);
    T *kept = parts_.data(), *rest = kept + n_;
    split(s.objective.context(), inverse, g, kept, rest);
    double a = 1, b = bound_ + delta > 0 ? o_.eps + this->damping().eps_scale() / (bound_ + delta) : o_.eps;
    this->ops().dots_on_device(1, n_, rest, n_, rest, n_, numbers_.data());
    readback_->post(numbers_.data(), 1);
    if (o_.subspace && o_.judged && !spans_the_gradient() && share_of_rest(s.report) > kRestThatCounts)
      choose_lengths(*s.curvature, g, delta, a, b, s.report);
    this->ops().axpby(n_, static_cast<T>(-o_.rate * a), kept, T(0), step);
    this->ops().axpby(n_, static_cast<T>(-o_.rate * b), rest, T(1), step);
    eps_rest_ = b;
    return {};
  }

  /// A Krylov space that begins with the gradient holds it, so nothing is left to choose a length for.
  bool spans_the_gradient() const { return from_gradient_ && age_ == 0 && steps_at(n_) == rank_; }
  /// |g - V'V g| / |g|; may wait for the device.
  double share_of_rest(const StepReport& report) {
    return std::sqrt(readback_->values().front()) / report.gradient_norm;
  }

  /// kept = V' (1 / phi + eps) V g, rest = g - V'V g.
  void split(Context& context, const ModifiedInverse& inverse, const T* g, T* kept, T* rest) {
    auto& ops = this->ops();
    const Index r = pairs_->count();
    const T* v = pairs_->vectors();
    Scratch scratch(context);
    T *c = scratch.take<T>(3 * r), *factors = c + r, *scaled = factors + r;
    std::vector<T> host(static_cast<std::size_t>(r));
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<T>(inverse.at(i));
    context.to_device(host.data(), factors, r * static_cast<Index>(sizeof(T)));
    ops.gemm({r, 1, n_, v, n_, false, g, 1, false, c, 1});
    ops.for_each(r, 1, ScaleRows<T>{factors, c, scaled, 1});
    ops.copy(n_, g, rest);
    ops.gemm({1, n_, r, scaled, r, false, v, n_, false, kept, n_});
    ops.gemm({1, n_, r, c, r, false, v, n_, false, rest, n_, T(-1), T(1)});
  }

  /// a, b := the minimum of -a g'k - b g'p + (a k + b p)'(A + delta I)(a k + b p) / 2 where there is one with both
  /// lengths above 0; otherwise they stay.
  void choose_lengths(LinearOperator<T>& curvature, const T* g, double delta, double& a, double& b,
                      StepReport& report) {
    auto& ops = this->ops();
    T *parts = parts_.data(), *products = parts + 2 * n_;
    curvature.apply(vector_view<const T>(parts, n_, 2), vector_view(products, n_, 2));
    report.products += 2;
    ops.for_each(2, n_, Axpby<T>{static_cast<T>(delta), parts, n_, T(1), products, n_});
    ops.dots_on_device(2, n_, parts, n_, g, 0, numbers_.data());
    ops.dots_on_device(2, n_, parts, n_, products, n_, numbers_.data() + 2);
    ops.dots_on_device(1, n_, parts, n_, products + n_, n_, numbers_.data() + 4);
    const std::vector<double> numbers = numbers_.download();
    const double *slopes = numbers.data(), *own = slopes + 2, cross = own[2];
    const double determinant = own[0] * own[1] - cross * cross;
    if (!(own[0] > 0 && determinant > 1e-10 * own[0] * own[1])) return;
    const double x = (own[1] * slopes[0] - cross * slopes[1]) / determinant;
    const double y = (own[0] * slopes[1] - cross * slopes[0]) / determinant;
    if (x > 0 && y > 0) a = x, b = y;
  }

  Look looks() const override { return Look::behind_prepare; }
  void refused(Step<T>&) override { age_ = o_.refresh; }
  void arrived(StepReport& report) override { rest_ = share_of_rest(report); }
  void taken(StepReport& report) override {
    ++age_;
    report.metrics.emplace_back("rest", rest_);
    report.metrics.emplace_back("eps_rest", eps_rest_);
  }
  bool rescales() const override { return o_.subspace; }
  bool subspace() const override { return o_.judged && o_.subspace; }
  bool judged() const override { return o_.judged; }

  HsoLowRankOptions o_;
  SignPolicy policy_;
  bool from_gradient_;
  Index n_ = -1, rank_ = 0;
  std::unique_ptr<KrylovPairs<T>> pairs_;
  Buffer<T> parts_;         ///< kept, rest, and their products
  Buffer<double> numbers_;  ///< [5] that lengths follow from
  std::unique_ptr<Readback> readback_;
  Spectrum spectrum_;
  double bound_ = 0, eps_rest_ = 0, rest_ = 0;
  bool ready_ = false;
  int age_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_lowrank(const HsoLowRankOptions& options) {
  return std::make_unique<detail::LowRank<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_lowrank(const HsoLowRankOptions&);
template std::unique_ptr<Optimizer<double>> make_hso_lowrank(const HsoLowRankOptions&);

}  // namespace hso
