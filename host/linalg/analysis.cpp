// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/linalg/analysis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "linalg/analysis_parts.hpp"
#include "linalg/block_lanczos.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

namespace {

template <class T>
class Analysis {
 public:
  Analysis(LinearOperator<T>& a, const SpectrumRequest& request, const SpectrumPlan& plan,
           const SpectralPreconditioner<T>* preconditioner)
      : a_(a), r_(request), preconditioner_(preconditioner), n_(a.dimension()) {
    out_.plan = plan;
    out_.n = n_;
  }

  SpectrumAnalysis<T> run() {
    if (!r_.interrupted) return analyzed();
    const InterruptScope scope(r_.interrupted, r_.blocking);
    try {
      return analyzed();
    } catch (const Interrupted&) {
      note_interrupted(fmt::format("{}: interrupted before anything was known", name_of(out_.plan.method)));
      return std::move(out_);
    }
  }

 private:
  SpectrumAnalysis<T> analyzed() {
    switch (out_.plan.method) {
      case SpectrumMethod::automatic:
      case SpectrumMethod::dense:
        dense();
        break;
      case SpectrumMethod::lanczos:
        ends();
        break;
      case SpectrumMethod::slq:
        density();
        break;
      case SpectrumMethod::trace:
        traces();
        break;
      case SpectrumMethod::rank:
        if (out_.plan.dense)
          dense();
        else
          bound_rank();
        break;
      case SpectrumMethod::lanczos_slq:
        ends();
        if (out_.stop != "interrupted" && out_.stop != "not_finite") density();
        break;
    }
    note_products();
    return std::move(out_);
  }

  void note_interrupted(const std::string& note) {
    out_.stop = "interrupted";
    out_.converged = false;
    out_.notes.push_back(note);
  }

  void dense() {
    Context& context = a_.context();
    Buffer<T> h(context, checked_multiply(n_, n_));
    a_.to_dense(h.data());
    const EighResult r = eigh(context, h.view().reshaped({n_, n_}), eigh_options(out_.plan, r_.vectors));
    if (!r.ok()) throw NumericalError(fmt::format("dense spectrum: eigendecomposition: {}", name_of(r.status)));
    for (const std::string& detour : r.fallbacks) out_.notes.push_back("eigendecomposition by " + detour);
    out_.products = n_;
    out_.complete = true;
    out_.stop = "direct";
    out_.eigenvalues = r.values;
    const SpectrumSummary s = summarize_spectrum(r.values, spectrum_tolerance<T>(n_));
    // With vectors the largest entry of A x - value x was measured: its norm is at most sqrt(n) times that.
    const double units = r_.vectors ? std::sqrt(static_cast<double>(n_)) * r.residual : std::max(1.0, r.residual);
    out_.residuals.assign(r.values.size(), units * spectrum_tolerance<T>(n_) * s.largest);
    out_.rank = RankResult{
        true, sizeof(T) == sizeof(double) || s.inertia.zero == 0, s.tolerance, s.inertia, s.rank, s.rank, s.condition};
    if (r_.method == SpectrumMethod::rank && !out_.rank->meaningful) out_.converged = false;
    out_.exact_trace = std::accumulate(r.values.begin(), r.values.end(), 0.0);
    out_.exact_frobenius_squared = std::inner_product(r.values.begin(), r.values.end(), r.values.begin(), 0.0);
    out_.density = density_curve(r.values);
    if (r_.damping) exact_log_determinant(*r_.damping);
    if (r_.vectors) out_.vectors = std::move(h);
  }

  void exact_log_determinant(double damping) {
    if (!(out_.eigenvalues.front() + damping > 0)) return note_not_positive(damping, out_.eigenvalues.front());
    double sum = 0;
    for (double value : out_.eigenvalues) sum += std::log(value + damping);
    out_.exact_log_determinant = sum;
  }
  void note_not_positive(double damping, double smallest) {
    without_log_determinant(
        fmt::format("the smallest eigenvalue seen is {:.3g}, damping {:.3g} does not make the matrix "
                    "positive definite",
                    smallest, damping));
  }
  void without_log_determinant(const std::string& reason) {
    out_.converged = false;
    out_.log_determinant_missing = reason;
    out_.notes.push_back("log-determinant: " + reason);
  }

  EigenPairs<T> pairs_by(const LanczosOptions& o) {
    const InterruptScope asked_by_lanczos({});
    return r_.near ? eigenpairs_near(a_, *r_.near, o) : lanczos(a_, o);
  }

  void ends() {
    LanczosOptions o = lanczos_request(r_, n_);
    o.basis = out_.plan.basis;
    if (!r_.near && out_.plan.dense_fits && o.max_products == 0) o.max_products = std::max<Index>(n_, 1000);
    EigenPairs<T> pairs = pairs_by(o);
    out_.products += pairs.products;
    const bool ended = pairs.all_converged() || pairs.stop == "interrupted" || pairs.stop == "not_finite";
    if (out_.plan.dense_instead && !ended) return nearest_of_all(pairs);
    out_.eigenvalues = pairs.values;
    out_.residuals = pairs.residuals;
    out_.stop = pairs.stop;
    out_.vectors = std::move(pairs.vectors);
    out_.complete = static_cast<Index>(pairs.values.size()) == n_;
    if (!pairs.values.empty()) note_extremes(pairs.extremes);
    out_.extremes = pairs.extremes;
    if (pairs.stop == "too_dense") note_too_dense();
    if (pairs.all_converged()) return;
    out_.converged = false;
    out_.notes.push_back(fmt::format("lanczos: {} of {} eigenvalues converged in {} products ({})", pairs.converged,
                                     o.count, pairs.products, pairs.stop));
  }

  void note_too_dense() {
    if (r_.max_products > 0 && r_.max_products < n_)
      out_.notes.push_back(
          fmt::format("lanczos: eigenvalues near {:.6g} take more than --max-products {}; n = {} make the whole matrix",
                      *r_.near, r_.max_products, n_));
    else
      out_.notes.push_back(
          fmt::format("lanczos: eigenvalues near {:.6g} lie so close together that products of vectors would cost more "
                      "than the whole matrix, n = {} of them: --method dense is cheaper where it fits",
                      *r_.near, n_));
  }

  /// Of anything but the whole matrix.
  void note_products() {
    if (out_.exact_trace || trace_is_exact_ || out_.products < n_ || n_ == 1) return;
    out_.notes.push_back(fmt::format("{}: {} products, and n = {} make the whole matrix: --method dense is cheaper {}",
                                     name_of(out_.plan.method), out_.products, n_,
                                     out_.plan.dense_fits ? "and fits" : "where it fits"));
  }

  /// Lanczos gave up on eigenvalues that lie too close together: all of them, and of these the nearest.
  void nearest_of_all(EigenPairs<T>& pairs) {
    const Index tried = pairs.products;
    out_.notes.push_back(
        fmt::format("near {:.6g}: eigenvalues lie too close together for products of vectors ({} tried); "
                    "the whole matrix, {} products, is cheaper and was taken",
                    *r_.near, tried, n_));
    pairs = {};
    dense();
    out_.products = tried + n_;
    const std::vector<Index> order = nearest(out_.eigenvalues, std::min(r_.count, n_), *r_.near);
    const auto first = order.front(), count = static_cast<Index>(order.size());  // neighbours
    const auto keep = [&](std::vector<double>& v) { v = {v.begin() + first, v.begin() + first + count}; };
    keep(out_.eigenvalues);
    keep(out_.residuals);
    out_.complete = count == n_;
    out_.extremes = ExtremesCheck{.confirmed = true, .confidence = 1};
    if (out_.vectors.size() == 0) return;
    Buffer<T> rows(a_.context(), count * n_);
    a_.context().template ops<T>().copy(count * n_, out_.vectors.data() + first * n_, rows.data());
    out_.vectors = std::move(rows);
  }

  void note_extremes(const ExtremesCheck& check) {
    if (check.confirmed) return;
    if (check.confidence == 0) {
      out_.notes.push_back(
          fmt::format("lanczos: whether these are the {} ones was not looked for", r_.near ? "nearest" : "extreme"));
      return;
    }
    if (r_.near) {
      out_.notes.push_back("lanczos: copies of multiple eigenvalues may be missing");
      return;
    }
    const auto side = [](const char* word, double bound) {
      return std::isfinite(bound) ? fmt::format(", none {} {:.9g}", word, bound) : std::string();
    };
    const std::string known = side("below", check.below) + side("above", check.above);
    out_.notes.push_back(
        fmt::format("lanczos: more extreme eigenvalues than these may be missing; with {:g} % confidence{}",
                    100 * check.confidence, known.empty() ? ", nothing is excluded" : known));
  }

  /// Cauchy's interlacing, as if arithmetic were exact: the tolerance is where rounding is.
  void bound_rank() {
    LanczosOptions o = rank_request(r_, n_);
    if (out_.plan.basis > 0) o.basis = out_.plan.basis;
    const InterruptScope asked_by_lanczos({});
    const EigenPairs<T> pairs = lanczos(a_, o);
    out_.products += pairs.products;
    out_.stop = pairs.stop;
    if (pairs.stop == "not_finite") {
      out_.converged = false;
      out_.notes.push_back("rank: a product was not finite");
      return;
    }
    if (pairs.stop == "interrupted") note_interrupted("rank: interrupted, the bounds are those of the products so far");
    RankResult rank;
    rank.tolerance = std::max(krylov_tolerance<T>() * pairs.scale, pairs.rounding);
    for (double value : pairs.values) {
      rank.inertia.positive += value > rank.tolerance;
      rank.inertia.negative += value < -rank.tolerance;
    }
    rank.at_least = rank.inertia.positive + rank.inertia.negative;
    rank.at_most = r_.rank_at_most > 0 ? std::min(n_, r_.rank_at_most) : n_;
    rank.exact = pairs.stop == "complete" || rank.at_least == rank.at_most;
    if (rank.exact) {
      rank.at_most = rank.at_least;
      rank.inertia.zero = n_ - rank.at_least;
    }
    out_.rank = rank;
  }

  void density() {
    SpectrumRequest request = r_;
    if (preconditioner_ != nullptr) request.damping.reset();
    DensityOptions o = density_request(request);
    o.lanes = out_.plan.lanes;
    const SpectralDensity d = spectral_density(a_, o);
    if (!is_known(d)) return;
    out_.trace = d.trace();
    out_.frobenius_squared = d.frobenius_squared();
    out_.density = density_curve(d);
    if (r_.damping) preconditioner_ != nullptr ? preconditioned() : log_determinant(d, *r_.damping);
    if (out_.stop.empty()) out_.stop = d.stop;
  }

  bool is_known(const SpectralDensity& d) {
    out_.products += d.products;
    if (d.stop == "interrupted") {
      const bool some = d.nodes.size() >= 2;
      note_interrupted(some ? fmt::format("slq: interrupted, from {} of {} probes and {} steps of each", d.nodes.size(),
                                          r_.probes, d.steps)
                            : "slq: interrupted before anything was known");
      if (!some && r_.damping) out_.log_determinant_missing = "interrupted before anything was known";
      return some;
    }
    if (d.stop != "not_finite") return true;
    out_.converged = false;
    out_.notes.push_back("slq: a product was not finite");
    return false;
  }

  void preconditioned() {
    PreconditionedOperator<T> product(a_, *r_.damping, *preconditioner_);
    const SpectralDensity d = spectral_density(product, density_request(preconditioned_request(r_, *preconditioner_)));
    if (!is_known(d)) return;
    try {
      out_.log_determinant = hso::log_determinant(d, *preconditioner_);
      note_quadrature(d, *r_.damping);
    } catch (const InputError&) {
      without_log_determinant("the preconditioned matrix is not positive definite beyond rounding");
    }
  }

  void log_determinant(const SpectralDensity& d, double damping) {
    try {
      out_.log_determinant = d.log_determinant(damping);
    } catch (const InputError&) {
      return note_not_positive(damping, d.lower_bound.value_or(d.smallest()));
    }
    note_quadrature(d, damping);
  }

  void note_quadrature(const SpectralDensity& d, double damping) {
    const Estimate& e = *out_.log_determinant;
    if (!e.quadrature_bounded)
      out_.notes.push_back(
          fmt::format("log-determinant: {} Lanczos steps do not show that damping {:.3g} makes the matrix positive "
                      "definite: it has "
                      "an upper bound alone; more --max-probe-steps or more damping",
                      d.steps, damping));
    else if (e.quadrature_error > e.high - e.low - 2 * e.quadrature_error)
      out_.notes.push_back(
          fmt::format("log-determinant: most of the interval is the quadrature's error after {} Lanczos steps; more "
                      "--max-probe-steps or more damping would shorten it",
                      d.steps));
  }

  void traces() {
    const TraceOptions o = trace_request(r_);
    TraceRun run;
    out_.trace = trace(a_, o, &run);
    out_.products += run.products;
    out_.stop = "probes";
    if (r_.interrupted && run.products < trace_products(n_, o))
      note_interrupted(fmt::format("trace: interrupted after {} of {} products", run.products, trace_products(n_, o)));
    trace_is_exact_ = run.exact;
    if (run.exact)
      out_.notes.push_back(
          fmt::format("trace: n = {} products of unit vectors make the whole diagonal: exact but for rounding", n_));
    else if (run.method == TraceMethod::xtrace && resolved(o) == TraceMethod::xnystrace)
      out_.notes.push_back(
          "trace: z'Az of the probes z was not positive beyond rounding, which xnystrace needs: the estimate is "
          "xtrace's");
  }

  LinearOperator<T>& a_;
  const SpectrumRequest& r_;
  const SpectralPreconditioner<T>* preconditioner_;
  Index n_;
  bool trace_is_exact_ = false;
  SpectrumAnalysis<T> out_;
};

}  // namespace

template <class T>
SpectrumAnalysis<T> analyze_spectrum(LinearOperator<T>& a, const SpectrumRequest& request, const SpectrumPlan* plan,
                                     const SpectralPreconditioner<T>* preconditioner) {
  require_sensible(request);
  return Analysis<T>(a, request, plan != nullptr ? *plan : plan_spectrum(a, request), preconditioner).run();
}

template SpectrumAnalysis<float> analyze_spectrum(LinearOperator<float>&, const SpectrumRequest&, const SpectrumPlan*,
                                                  const SpectralPreconditioner<float>*);
template SpectrumAnalysis<double> analyze_spectrum(LinearOperator<double>&, const SpectrumRequest&, const SpectrumPlan*,
                                                   const SpectralPreconditioner<double>*);

}  // namespace hso
