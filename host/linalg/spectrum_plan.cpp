// SPDX-License-Identifier: Apache-2.0
//
// What an analysis will take: memory from the methods' own needs, time from a short probe.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "io/choice.hpp"
#include "io/shown_text.hpp"
#include "linalg/analysis_parts.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

const std::vector<std::string>& spectrum_method_names() {
  static const std::vector<std::string> names{"auto", "dense", "lanczos", "slq", "trace", "rank", "lanczos+slq"};
  return names;
}

SpectrumMethod parse_spectrum_method(const std::string& name) {
  return parse_choice<SpectrumMethod>("spectrum method", name, spectrum_method_names());
}

const std::string& name_of(SpectrumMethod method) { return spectrum_method_names()[static_cast<std::size_t>(method)]; }

namespace {

constexpr Index kDenseAtMost = 4096;  // `automatic` takes the direct method up to here
constexpr Index kSmallProblem = 256;
constexpr Index kSmallChange = Index{8} << 20;  // what no method counts, and an arena block that did not fit

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Of the second call: the first allocates.
template <class Body>
double seconds_of(Context& context, const Body& body) {
  body();
  context.synchronize();
  const double start = seconds_now();
  body();
  context.synchronize();
  return seconds_now() - start;
}

struct Probe {
  double seconds = 0;  ///< of one vector
  Index scratch = 0;   ///< bytes of one product
};

/// The result lies where the method will have it, in the arena before the product's own scratch or in a buffer: what
/// the arena takes for one product it has after this.
template <class T>
Probe time_product(LinearOperator<T>& a, Index lanes, bool result_in_arena) {
  const Index n = a.dimension();
  Context& context = a.context();
  Buffer<T> v(context, lanes * n), result(context, result_in_arena ? 0 : lanes * n);
  context.template ops<T>().fill(lanes * n, T(1), v.data());
  Scratch scratch(context);
  T* av = result_in_arena ? scratch.take<T>(lanes * n) : result.data();
  context.arena().reset_peak_used();
  const Index before = context.arena().peak_used();
  const double seconds =
      seconds_of(context, [&] { a.apply(vector_view<const T>(v.data(), n, lanes), vector_view(av, n, lanes)); });
  return {seconds / static_cast<double>(lanes), context.arena().peak_used() - before};
}

/// From a random matrix of small order, times the cube of the ratio.
template <class T>
double eigen_seconds(Context& context, Index n, bool vectors) {
  const Index m = std::min(n, kSmallProblem);
  Buffer<T> a(context, m * m);
  const double seconds = seconds_of(context, [&] {
    context.ops<T>().for_each(1, m * m, RandomFill<T>{a.data(), 0, 0, Distribution::normal, 0, 1});
    eigh(context, a.view().reshaped({m, m}), {.vectors = vectors});
  });
  return seconds * std::pow(static_cast<double>(n) / static_cast<double>(m), 3);
}

template <class T>
Needs dense_needs(Context& context, Index n, const SpectrumPlan& plan, bool vectors) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T))), square = checked_multiply(n, vector);
  const EighOptions options = eigh_options(plan, vectors);
  const Index copy = options.retry || options.vectors ? square : 0;
  Needs needs{square, {}};
  const Index work = std::max<Index>(eigh_bytes<T>(context, n, options) - copy, 0);
  needs.scratch.push_back({copy, vector, vector, work});
  if (options.vectors) needs.scratch.push_back({copy, vector, vector, 256 * vector, 256 * vector});
  return needs;
}

template <class T>
class Planner {
 public:
  Planner(LinearOperator<T>& a, const SpectrumRequest& request) : a_(a), r_(request), n_(a.dimension()) {}

  SpectrumPlan run() {
    if (n_ < 1) throw InputError("analyze_spectrum: an operator of dimension 0, expected at least 1");
    SpectrumPlan plan;
    choose(plan);
    const bool in_arena = plan.dense || (plan.basis > 0 && plan.method != SpectrumMethod::lanczos_slq);
    const Probe probe = time_product(a_, plan.lanes, in_arena);
    plan.product_seconds = probe.seconds;
    if (plan.dense) {
      plan.products = n_;
      plan.solver_seconds = eigen_seconds<T>(a_.context(), n_, r_.vectors);
    }
    if (plan.method == SpectrumMethod::slq) plan.products = density_products(density_request(r_), n_);
    if (plan.method == SpectrumMethod::trace) plan.products = trace_products(n_, trace_request(r_));
    if (plan.method == SpectrumMethod::rank && !plan.dense) plan.products = rank_request(r_, n_).max_products;
    const Index needed = a_.context().allocated_bytes() + added_bytes(plan) + kSmallChange;
    plan.bytes = std::max(a_.context().peak_bytes(), needed);
    return plan;
  }

 private:
  Index room() const { return a_.context().memory().free_bytes + a_.context().arena().unused_bytes(); }

  /// The matrix, and what the eigensolver takes beside it: a copy to try again from only where there is plenty, and
  /// values alone by our own reduction where the library's workspace would not fit beside the matrix.
  Index dense_bytes(Index n, EighOptions& options) const {
    const Index square = checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
    options.vectors = options.check_residual = r_.vectors;
    options.retry = r_.vectors || square < room() / 4;
    options.route = EigenRoute::library;
    const bool library = n <= a_.context().template ops<T>().syevd_limit(r_.vectors);
    if (!r_.vectors && (!library || square + eigh_bytes<T>(a_.context(), n, options) > room()))
      options.route = EigenRoute::reduction;
    return square + eigh_bytes<T>(a_.context(), n, options);
  }
  bool dense_fits() const {
    try {
      EighOptions options;
      return dense_bytes(n_, options) <= room();
    } catch (const Error&) {
      return false;  // a size that the library's integers cannot name
    }
  }

  void choose(SpectrumPlan& plan) const {
    plan.method = r_.method;
    if (r_.method == SpectrumMethod::automatic && r_.near) {
      plan.method = SpectrumMethod::lanczos;
      plan.dense_instead = dense_fits();
    } else if (r_.method == SpectrumMethod::automatic)
      plan.method = n_ <= kDenseAtMost && dense_fits() ? SpectrumMethod::dense : SpectrumMethod::lanczos_slq;
    plan.dense = plan.method == SpectrumMethod::dense ||
                 (plan.method == SpectrumMethod::rank && n_ <= kDenseRankAtMost && dense_fits());
    const bool alone = plan.method == SpectrumMethod::lanczos || plan.method == SpectrumMethod::slq ||
                       plan.method == SpectrumMethod::trace;
    plan.dense_fits = alone && n_ <= kDenseAtMost && dense_fits();
    EighOptions options;
    if (plan.method == SpectrumMethod::dense)
      require_memory(a_.context(), "dense spectrum: the matrix and its eigendecomposition", n_,
                     [&](Index m) { return dense_bytes(m, options); });
    if (plan.dense || plan.dense_instead) {
      dense_bytes(n_, options);
      plan.retry = options.retry;
      plan.route = options.route;
    }
    plan.lanes = lanes_of(plan);
    const bool rank = plan.method == SpectrumMethod::rank && !plan.dense;
    if (rank || plan.method == SpectrumMethod::lanczos || plan.method == SpectrumMethod::lanczos_slq)
      plan.basis = basis_of(rank ? rank_request(r_, n_) : lanczos_request(r_, n_), r_.near && !rank);
  }
  Index basis_of(const LanczosOptions& o, bool near) const {
    return near ? near_basis<T>(a_.context(), n_, o) : lanczos_basis<T>(a_.context(), n_, o);
  }
  Index lanes_of(const SpectrumPlan& plan) const {
    const bool density = plan.method == SpectrumMethod::slq || plan.method == SpectrumMethod::lanczos_slq;
    if (plan.dense) return std::min(a_.lanes(), n_);
    if (density) return density_lanes(a_, density_request(r_));
    if (plan.method == SpectrumMethod::trace) return trace_lanes(n_, trace_request(r_));
    return std::min(r_.block, n_);
  }

  Index added_bytes(const SpectrumPlan& plan) const {
    const auto& arena = a_.context().arena();
    const auto added = [&](const Needs& needs) { return needs.buffers + arena.growth(needs.scratch); };
    if (plan.dense) return added(dense_needs<T>(a_.context(), n_, plan, r_.vectors));
    Index most = 0;
    if (plan.basis > 0) {
      LanczosOptions o = plan.method == SpectrumMethod::rank ? rank_request(r_, n_) : lanczos_request(r_, n_);
      o.basis = plan.basis;
      Needs needs = lanczos_needs<T>(n_, o);
      if (r_.near && plan.method != SpectrumMethod::rank) add_filter(o, needs);
      most = added(needs);
    }
    if (plan.dense_instead) most = std::max(most, added(dense_needs<T>(a_.context(), n_, plan, r_.vectors)));
    if (plan.method == SpectrumMethod::slq || plan.method == SpectrumMethod::lanczos_slq) {
      DensityOptions o = density_request(r_);
      o.lanes = plan.lanes;
      most = std::max(most, added(density_needs<T>(n_, o)));
    }
    if (plan.method == SpectrumMethod::trace) most = added(trace_needs<T>(n_, trace_request(r_)));
    return most;
  }

  /// Of eigenpairs_near, where its basis may fill up: pairs and their products beside the basis, three vectors a lane.
  void add_filter(const LanczosOptions& o, Needs& needs) const {
    const Index most = o.max_products > 0 ? o.max_products : n_, vector = n_ * static_cast<Index>(sizeof(T));
    if (o.basis >= std::min(n_, most) || o.block > 1) return;
    needs.buffers += 2 * (o.count + 4) * vector;
    needs.scratch.push_back({vector, vector, vector});
  }

  LinearOperator<T>& a_;
  const SpectrumRequest& r_;
  Index n_;
};

}  // namespace

namespace detail {

void require_sensible(const SpectrumRequest& r) {
  static constexpr Index kMost = 1'000'000'000;
  const auto whole = [](const char* name, Index value, Index least) {
    if (value < least || value > kMost)
      throw UsageError(
          fmt::format("SpectrumRequest: {} = {}, expected a whole number from {} to {}", name, value, least, kMost));
  };
  whole("count", r.count, 1);
  whole("block", r.block, 1);
  whole("probes", r.probes, 2);
  whole("steps", r.steps, 2);
  whole("max_products", r.max_products, 0);
  whole("most_steps", r.most_steps, 0);
  whole("rank_at_most", r.rank_at_most, 0);
  if (!(r.tolerance >= 0) || !std::isfinite(r.tolerance))
    throw UsageError(fmt::format("SpectrumRequest: tolerance = {}, expected a finite number, at least 0",
                                 unsigned_nan(r.tolerance)));
  const auto finite = [](const char* name, const std::optional<double>& value) {
    if (value && !std::isfinite(*value))
      throw UsageError(fmt::format("SpectrumRequest: {} = {}, expected a finite number", name, unsigned_nan(*value)));
  };
  finite("near", r.near);
  finite("damping", r.damping);
  finite("lower_bound", r.lower_bound);
}

EighOptions eigh_options(const SpectrumPlan& plan, bool vectors) {
  EighOptions o;
  o.vectors = o.check_residual = vectors;
  o.retry = plan.retry;
  o.route = vectors ? EigenRoute::automatic : plan.route;
  return o;
}

LanczosOptions lanczos_request(const SpectrumRequest& r, Index n) {
  LanczosOptions o;
  o.count = std::min(r.count, n);
  o.which = r.which;
  o.block = r.block;
  o.tolerance = r.tolerance;
  o.max_products = r.max_products;
  o.lower_bound = r.lower_bound;
  o.seed = r.seed;
  o.vectors = r.vectors;
  o.interrupted = r.interrupted;
  return o;
}

/// As many steps as the basis has room for, one projection: every Ritz value is asked for, so that none is discarded.
LanczosOptions rank_request(const SpectrumRequest& r, Index n) {
  LanczosOptions o = lanczos_request(r, n);
  o.which = SpectrumEnd::magnitude;
  o.count = std::min<Index>(n, r.max_products > 0 ? r.max_products : std::max<Index>(256, 4 * r.count));
  o.basis = std::min(n, o.count + 3);
  o.block = 1;
  o.max_products = o.count;
  o.tolerance = 1e-300;
  o.confidence = 0;
  o.vectors = false;
  return o;
}

DensityOptions density_request(const SpectrumRequest& r) {
  DensityOptions o{.probes = r.probes, .steps = r.steps, .seed = r.seed};
  o.lower_bound = r.lower_bound;
  o.interrupted = r.interrupted;
  if (!r.damping) return o;
  o.most_steps = r.most_steps > 0 ? r.most_steps : 8 * r.steps;
  o.enough = [delta = *r.damping](const SpectralDensity& d) {
    try {
      const Estimate e = d.log_determinant(delta);
      const double spread = student_t(e.confidence, static_cast<double>(e.probes - 1)) * e.standard_error;
      return e.quadrature_bounded && e.quadrature_error <= spread + e.rounding_error;
    } catch (const InputError&) {
      return true;  // more steps can only show more of what is not positive
    }
  };
  return o;
}

TraceOptions trace_request(const SpectrumRequest& r) {
  return {.method = r.trace_method,
          .products = r.probes,
          .seed = r.seed,
          .positive_semidefinite = r.lower_bound && *r.lower_bound >= 0,
          .interrupted = r.interrupted};
}

}  // namespace detail

template <class T>
SpectrumPlan plan_spectrum(LinearOperator<T>& a, const SpectrumRequest& request) {
  detail::require_sensible(request);
  return Planner<T>(a, request).run();
}

template <class T>
SpectrumPlan plan_preconditioned(LinearOperator<T>& a, const SpectrumRequest& request, const SpectrumPlan& plan,
                                 const SpectralPreconditioner<T>& preconditioner) {
  PreconditionedOperator<T> product(a, *request.damping, preconditioner);
  const SpectrumPlan more = plan_spectrum(product, preconditioned_request(request, preconditioner));
  SpectrumPlan out = plan;
  out.bytes = std::max(plan.bytes, more.bytes);
  if (plan.method != SpectrumMethod::slq) return out;  // as many products as it takes
  SpectrumRequest alone = request;
  alone.damping.reset();
  out.products = density_products(density_request(alone), a.dimension()) + more.products;
  out.product_seconds = std::max(plan.product_seconds, more.product_seconds);
  return out;
}

template <class T>
SpectrumPlan plan_matrix(LinearOperator<T>& a) {
  const Index n = a.dimension();
  if (n < 1) throw InputError("plan_matrix: an operator of dimension 0, expected at least 1");
  Context& context = a.context();
  const auto square = [](Index m) { return checked_multiply(checked_multiply(m, m), static_cast<Index>(sizeof(T))); };
  require_memory(context, "dense curvature matrix", n, square);
  SpectrumPlan plan = plan_products(a, std::min(a.lanes(), n), n, square(n));
  plan.dense = true;
  return plan;
}

template <class T>
SpectrumPlan plan_products(LinearOperator<T>& a, Index lanes, Index products, Index bytes) {
  SpectrumPlan plan;
  plan.lanes = lanes;
  plan.products = products;
  plan.product_seconds = time_product(a, lanes, true).seconds;
  plan.bytes = std::max(a.context().peak_bytes(), a.context().allocated_bytes() + bytes + kSmallChange);
  return plan;
}

template SpectrumPlan plan_preconditioned(LinearOperator<float>&, const SpectrumRequest&, const SpectrumPlan&,
                                          const SpectralPreconditioner<float>&);
template SpectrumPlan plan_preconditioned(LinearOperator<double>&, const SpectrumRequest&, const SpectrumPlan&,
                                          const SpectralPreconditioner<double>&);
template SpectrumPlan plan_matrix(LinearOperator<float>&);
template SpectrumPlan plan_matrix(LinearOperator<double>&);
template SpectrumPlan plan_products(LinearOperator<float>&, Index, Index, Index);
template SpectrumPlan plan_products(LinearOperator<double>&, Index, Index, Index);
template SpectrumPlan plan_spectrum(LinearOperator<float>&, const SpectrumRequest&);
template SpectrumPlan plan_spectrum(LinearOperator<double>&, const SpectrumRequest&);

}  // namespace hso
