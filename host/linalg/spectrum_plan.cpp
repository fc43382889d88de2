// SPDX-License-Identifier: Apache-2.0
//
// What an analysis will take: memory from the methods' own needs, time from a short probe.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "io/choice.hpp"
#include "linalg/analysis_parts.hpp"
#include "linalg/needs.hpp"

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
constexpr Index kDenseLanes = 32;
constexpr Index kSmallProblem = 256;
constexpr Index kSmallChange = Index{8} << 20;  // what no method counts, and an arena block that did not fit

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The best of three, in seconds.
template <class Body>
double best_of_three(Context& context, const Body& body) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3; ++round) {
    const double start = seconds_now();
    body();
    context.synchronize();
    best = std::min(best, seconds_now() - start);
  }
  return best;
}

struct Probe {
  double seconds = 0;  ///< of one vector
  Index scratch = 0;   ///< bytes of one product
};

template <class T>
Probe time_product(LinearOperator<T>& a, Index lanes) {
  const Index n = a.dimension();
  Buffer<T> v(a.context(), lanes * n), av(a.context(), lanes * n);
  a.context().template ops<T>().fill(lanes * n, T(1), v.data());
  a.context().arena().reset_peak_used();
  const double seconds = best_of_three(
      a.context(), [&] { a.apply(vector_view<const T>(v.data(), n, lanes), vector_view(av.data(), n, lanes)); });
  return {seconds / static_cast<double>(lanes), a.context().arena().peak_used()};
}

/// From a random matrix of small order, times the cube of the ratio.
template <class T>
double eigen_seconds(Context& context, Index n, bool vectors) {
  const Index m = std::min(n, kSmallProblem);
  Buffer<T> a(context, m * m);
  const double seconds = best_of_three(context, [&] {
    context.ops<T>().for_each(1, m * m, RandomFill<T>{a.data(), 0, 0, Distribution::normal, 0, 1});
    eigh(context, a.view().reshaped({m, m}), {.vectors = vectors});
  });
  return seconds * std::pow(static_cast<double>(n) / static_cast<double>(m), 3);
}

template <class T>
Needs dense_needs(Context& context, Index n, const SpectrumRequest& request, Index lanes, Index product) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T))), square = checked_multiply(n, vector);
  const EighOptions options = eigh_options<T>(context, n, request.vectors);
  const Index copy = options.retry || options.vectors ? square : 0;
  Needs needs{square, {{lanes * vector, product}}};
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
    plan.method = chosen();
    plan.lanes = lanes_of(plan.method);
    const Probe probe = time_product(a_, plan.lanes);
    plan.product_seconds = probe.seconds;
    if (dense(plan.method)) {
      plan.products = n_;
      plan.solver_seconds = eigen_seconds<T>(a_.context(), n_, r_.vectors);
    }
    const Index needed = a_.context().allocated_bytes() + added_bytes(plan, probe.scratch) + kSmallChange;
    plan.bytes = std::max(a_.context().peak_bytes(), needed);
    if (plan.method == SpectrumMethod::slq) plan.products = r_.probes * std::min(r_.steps, n_);
    if (plan.method == SpectrumMethod::trace) plan.products = r_.probes;
    if (plan.method == SpectrumMethod::rank && !dense(plan.method)) plan.products = rank_request(r_, n_).max_products;
    return plan;
  }

 private:
  Index dense_bytes(Index n) const {
    const EighOptions o = eigh_options<T>(a_.context(), n, r_.vectors);
    return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T))) + eigh_bytes<T>(a_.context(), n, o);
  }
  bool dense_fits() const {
    const Index free = a_.context().memory().free_bytes + a_.context().arena().unused_bytes();
    try {
      return dense_bytes(n_) <= free;
    } catch (const Error&) {
      return false;  // a size that the library's integers cannot name
    }
  }
  SpectrumMethod chosen() const {
    if (r_.method == SpectrumMethod::dense)
      require_memory(a_.context(), "dense spectrum: the matrix and its eigendecomposition", n_,
                     [&](Index m) { return dense_bytes(m); });
    if (r_.method != SpectrumMethod::automatic) return r_.method;
    return n_ <= kDenseAtMost && dense_fits() ? SpectrumMethod::dense : SpectrumMethod::lanczos_slq;
  }
  bool dense(SpectrumMethod method) const {
    return method == SpectrumMethod::dense ||
           (method == SpectrumMethod::rank && n_ <= kDenseRankAtMost && dense_fits());
  }
  Index lanes_of(SpectrumMethod method) const {
    if (dense(method)) return std::min(kDenseLanes, n_);
    if (method == SpectrumMethod::slq) return density_lanes<T>(a_.context(), n_, density_request(r_));
    if (method == SpectrumMethod::trace) return std::min(trace_lanes(trace_request(r_)), n_);
    if (method == SpectrumMethod::lanczos_slq)
      return std::max(r_.block, density_lanes<T>(a_.context(), n_, density_request(r_)));
    return std::min(r_.block, n_);
  }

  Index added_bytes(const SpectrumPlan& plan, Index product) const {
    const auto& arena = a_.context().arena();
    const auto added = [&](const Needs& needs) { return needs.buffers + arena.growth(needs.scratch); };
    if (dense(plan.method)) return added(dense_needs<T>(a_.context(), n_, r_, plan.lanes, product));
    Index most = 0;
    const auto ends = [&](LanczosOptions o) {
      o.basis = lanczos_basis<T>(a_.context(), n_, o);
      most = std::max(most, added(r_.near ? near_needs<T>(n_, o, product) : lanczos_needs<T>(n_, o, product)));
    };
    if (plan.method == SpectrumMethod::lanczos || plan.method == SpectrumMethod::lanczos_slq)
      ends(lanczos_request(r_, n_));
    if (plan.method == SpectrumMethod::rank) ends(rank_request(r_, n_));
    if (plan.method == SpectrumMethod::slq || plan.method == SpectrumMethod::lanczos_slq) {
      DensityOptions o = density_request(r_);
      o.lanes = density_lanes<T>(a_.context(), n_, o);
      most = std::max(most, added(density_needs<T>(n_, o, product)));
    }
    if (plan.method == SpectrumMethod::trace) most = added(trace_needs<T>(n_, trace_request(r_), product));
    return most;
  }

  LinearOperator<T>& a_;
  const SpectrumRequest& r_;
  Index n_;
};

}  // namespace

namespace detail {

template <class T>
EighOptions eigh_options(Context& context, Index n, bool vectors) {
  EighOptions o;
  o.vectors = vectors;
  o.check_residual = vectors;
  const Index square = checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
  o.retry = vectors || square < context.memory().free_bytes / 4;  // a second copy only where there is plenty
  return o;
}

LanczosOptions lanczos_request(const SpectrumRequest& r, Index n) {
  LanczosOptions o;
  o.count = std::min(r.count, n);
  o.which = r.which;
  o.block = r.block;
  o.tolerance = r.tolerance;
  o.max_products = r.max_products;
  o.seed = r.seed;
  o.vectors = r.vectors;
  o.interrupted = r.interrupted;
  return o;
}

/// As many steps as the basis has room for, one projection: every Ritz value is asked for, so that none is discarded.
LanczosOptions rank_request(const SpectrumRequest& r, Index n) {
  LanczosOptions o = lanczos_request(r, n);
  o.which = SpectrumEnd::magnitude;
  o.count = std::min<Index>(n, std::max<Index>(256, 4 * r.count));
  o.basis = std::min(n, o.count + 3);
  o.block = 1;
  o.max_products = o.count;
  o.tolerance = 1e-300;
  o.vectors = false;
  return o;
}

DensityOptions density_request(const SpectrumRequest& r) {
  return {.probes = r.probes, .steps = r.steps, .seed = r.seed};
}

TraceOptions trace_request(const SpectrumRequest& r) {
  return {.method = r.trace_method, .products = r.probes, .seed = r.seed};
}

template EighOptions eigh_options<float>(Context&, Index, bool);
template EighOptions eigh_options<double>(Context&, Index, bool);

}  // namespace detail

template <class T>
SpectrumPlan plan_spectrum(LinearOperator<T>& a, const SpectrumRequest& request) {
  return Planner<T>(a, request).run();
}

template SpectrumPlan plan_spectrum(LinearOperator<float>&, const SpectrumRequest&);
template SpectrumPlan plan_spectrum(LinearOperator<double>&, const SpectrumRequest&);

}  // namespace hso
