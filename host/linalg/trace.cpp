// SPDX-License-Identifier: Apache-2.0
//
// Traces and Frobenius norms from random probes, all probes as lanes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "io/choice.hpp"
#include "linalg/basis.hpp"
#include "linalg/estimate_rounding.hpp"
#include "linalg/leave_one_out.hpp"
#include "linalg/memory_needs.hpp"
#include "linalg/probes.hpp"

namespace hso {

using namespace detail;

const std::vector<std::string>& trace_method_names() {
  static const std::vector<std::string> names{"auto", "hutchinson", "hutch_plus_plus", "xtrace", "xnystrace"};
  return names;
}

TraceMethod parse_trace_method(const std::string& name) {
  return parse_choice<TraceMethod>("trace method", name, trace_method_names());
}

namespace {

using Numbers = std::vector<double>;

double sum(const Numbers& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
double mean(const Numbers& x) {
  double sum = 0;
  for (double v : x) sum += v / static_cast<double>(x.size());
  return sum;
}

template <class T>
double rounding_of(Index n, double frobenius_squared) {
  return trace_rounding(static_cast<double>(std::numeric_limits<T>::epsilon()), n, frobenius_squared);
}

/// Without a spread.
Estimate known(double value, Index products, std::uint64_t seed, double confidence) {
  Estimate e;
  e.value = e.low = e.high = value;
  e.confidence = confidence;
  e.probes = products;
  e.seed = seed;
  return e;
}

/// Of the n unit vectors: the diagonal, and squares whose sum is |A|_F^2.
template <class T>
ProbeSamples samples_of_all(const char* who, LinearOperator<T>& a) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension();
  const ProbeSamples s = samples_drawn(a, n, {}, [&](Index first, Index k, T* z) {
    ops.for_each(k, n, UnitVectors<T>{z, n, first});
  });
  if (!std::isfinite(sum(s.squared)))
    throw NumericalError(fmt::format("{}: a product is not finite, expected finite numbers", who));
  return s;
}

template <class T>
Estimate sum_of_diagonal(LinearOperator<T>& a, const TraceOptions& o) {
  const ProbeSamples s = samples_of_all("trace", a);
  return with_rounding(known(sum(s.quadratic), a.dimension(), o.seed, o.confidence),
                       rounding_of<T>(a.dimension(), sum(s.squared)));
}

template <class T>
Estimate hutchinson(LinearOperator<T>& a, const TraceOptions& o) {
  std::optional<InterruptScope> asked_here;
  if (o.interrupted) asked_here.emplace(std::function<bool()>());
  const ProbeSamples s = samples_of(a, 0, o.products, o.seed, kAsTheyAre, o.interrupted);
  if (o.interrupted && s.quadratic.size() < 2) throw Interrupted();
  return with_rounding(mean_of(s.quadratic, o.seed, o.confidence), rounding_of<T>(a.dimension(), mean(s.squared)));
}

/// Probes Z and Y = A Z, k of them; `orthonormalize` makes Y an orthonormal basis of its range.
template <class T>
struct Sketch {
  Sketch(LinearOperator<T>& a, Index k, std::uint64_t from, Distribution distribution)
      : probes(a.context(), k * a.dimension()),
        range(a.context(), a.dimension(), k),
        squares(static_cast<std::size_t>(k)),
        seed(from) {
    auto& ops = a.context().template ops<T>();
    const Index n = a.dimension();
    fill_probes(ops, n, 0, k, seed, distribution, probes.data());
    for (Index first = 0; first < k; first += kProbeLanes) {
      const Index lanes = std::min(kProbeLanes, k - first);
      a.apply(vector_view<const T>(probes.data() + first * n, n, lanes), vector_view(range.row(first), n, lanes));
    }
    ops.dots(k, n, range.row(0), n, range.row(0), n, squares.data());
    for (double x : squares)
      if (!std::isfinite(x)) throw NumericalError("trace: a product is not finite, expected finite numbers");
  }
  void orthonormalize() {
    const auto k = static_cast<Index>(squares.size());
    range.orthonormalize(0, k, std::sqrt(*std::max_element(squares.begin(), squares.end())), seed + 1, r);
    range.resize(k);
  }
  Buffer<T> probes;
  Basis<T> range;
  Numbers squares;  ///< |A z_j|^2
  std::uint64_t seed;
  Numbers r;  ///< A z_j = sum_l r[l][j] q_l
};

/// h[k][k] = Q A Q' of the sketched range.
template <class T>
Numbers project(LinearOperator<T>& a, Basis<T>& q) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension(), k = q.size();
  Buffer<T> aq(a.context(), k * n), h(a.context(), k * k);
  for (Index first = 0; first < k; first += kProbeLanes) {
    const Index lanes = std::min(kProbeLanes, k - first);
    a.apply(vector_view<const T>(q.row(first), n, lanes), vector_view(aq.data() + first * n, n, lanes));
  }
  ops.gemm({k, k, n, q.row(0), n, false, aq.data(), n, true, h.data(), k});
  const std::vector<T> host = h.download();
  return {host.begin(), host.end()};
}

template <class T>
Estimate hutch_plus_plus(LinearOperator<T>& a, const TraceOptions& o) {
  const Index n = a.dimension(), k = o.products / 3, probes = o.products - 2 * k;
  Sketch<T> sketch(a, k, o.seed, Distribution::rademacher);
  sketch.orthonormalize();
  const Numbers h = project(a, sketch.range);
  double captured = 0;
  for (Index i = 0; i < k; ++i) captured += h[static_cast<std::size_t>(i * k + i)];
  // z'(I - QQ')A(I - QQ')z of fresh probes
  const ProbeSamples rest = samples_of(a, k, std::max<Index>(probes, 2), o.seed,
                                       [&](Index lanes, T* z) { sketch.range.project_out(k, lanes, z); });
  Estimate e = mean_of(rest.quadratic, o.seed, o.confidence);
  e.value += captured;
  e.low += captured;
  e.high += captured;
  return with_rounding(e, rounding_of<T>(n, mean(sketch.squares)));
}

/// All of the range was seen, with or without any one probe: nothing is left to estimate.
template <class T>
Estimate exact(double value, Index n, const Sketch<T>& sketch, const TraceOptions& o) {
  return with_rounding(known(value, static_cast<Index>(sketch.squares.size()), o.seed, o.confidence),
                       rounding_of<T>(n, mean(sketch.squares)));
}

/// The jackknife (Efron and Stein 1981) with as many degrees of freedom as a mean of that many numbers has.
template <class T>
Estimate jackknife(const LeaveOneOut& all, Index n, const Sketch<T>& sketch, const TraceOptions& o) {
  Estimate e = exact(all.value, n, sketch, o);
  const double middle = mean(all.without);
  for (double x : all.without) e.standard_error += (x - middle) * (x - middle);
  e.standard_error = std::sqrt(e.standard_error);
  const double reach = student_t(o.confidence, static_cast<double>(e.probes - 1)) * e.standard_error;
  e.low -= reach;
  e.high += reach;
  return e;
}

template <class T>
Estimate xtrace(LinearOperator<T>& a, const TraceOptions& o) {
  const Index n = a.dimension(), half = o.products / 2;
  const auto k = static_cast<std::size_t>(half);
  auto& ops = a.context().template ops<T>();
  Sketch<T> sketch(a, half, o.seed, Distribution::normal);
  sketch.orthonormalize();
  XTraceSketch small{n, SmallMatrix(k, project(a, sketch.range)), SmallMatrix(k, sketch.r), SmallMatrix(k), Numbers(k)};
  bool all = false;
  double captured = 0;
  for (std::size_t i = 0; i < k; ++i) {
    captured += small.h(i, i);
    all = all || small.r(i, i) == 0;
  }
  if (all) return exact(captured, n, sketch, o);
  Buffer<T> w_device(a.context(), half * half);
  ops.gemm({half, half, n, sketch.probes.data(), n, false, sketch.range.row(0), n, true, w_device.data(), half});
  const std::vector<T> w = w_device.download();
  small.w.entries.assign(w.begin(), w.end());
  ops.dots(half, n, sketch.probes.data(), n, sketch.probes.data(), n, small.squares.data());
  return jackknife(xtrace_of(small), n, sketch, o);
}

/// Of A + shift I with a shift of the size of rounding: Z'(A + shift I)Z is positive definite where A is semidefinite,
/// beyond rounding as long as Z is well conditioned, which square normal matrices are not. Nothing where it is not.
template <class T>
std::optional<Estimate> xnystrace(LinearOperator<T>& a, const TraceOptions& o) {
  const Index n = a.dimension(), count = trace_products(n, o);
  const auto k = static_cast<std::size_t>(count);
  auto& ops = a.context().template ops<T>();
  Sketch<T> sketch(a, count, o.seed, Distribution::normal);
  const double size = std::sqrt(mean(sketch.squares));  // |A|_F
  if (size == 0) return exact(0.0, n, sketch, o);
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const auto shift = static_cast<T>(10 * eps * size * std::sqrt(static_cast<double>(k) / static_cast<double>(n)));
  ops.axpby(count * n, shift, sketch.probes.data(), T(1), sketch.range.row(0));
  Buffer<double> products(a.context(), 2 * count * count);
  double* gram = products.data() + count * count;
  for (Index j = 0; j < count; ++j)
    ops.dots_on_device(count, n, sketch.probes.data(), n, sketch.range.row(j), 0, products.data() + j * count);
  ops.gram_on_device(count, n, sketch.probes.data(), n, gram);
  sketch.orthonormalize();
  const Numbers host = products.download();
  NystromSketch small{n, static_cast<double>(shift), SmallMatrix(k, sketch.r), SmallMatrix(k), SmallMatrix(k)};
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      small.zy(i, j) = small.zy(j, i) = 0.5 * (host[i * k + j] + host[j * k + i]);
      small.gram(i, j) = small.gram(j, i) = host[k * k + i * k + j];
    }
  const std::optional<LeaveOneOut> all = xnystrace_of(small);
  if (!all) return std::nullopt;
  return with_rounding(jackknife(*all, n, sketch, o), static_cast<double>(shift) * std::sqrt(static_cast<double>(n)));
}

constexpr Index kFewestNystrom = 5;  ///< products: with fewer the jackknife of XNysTrace covers too little

TraceMethod method_for(Index n, const TraceOptions& o) {
  const TraceMethod method = resolved(o);
  return method == TraceMethod::xnystrace && n / 2 < kFewestNystrom ? TraceMethod::hutchinson : method;
}

Index fewest_products(TraceMethod method) {
  switch (method) {
    case TraceMethod::hutch_plus_plus:
      return 6;
    case TraceMethod::xtrace:
      return 4;
    case TraceMethod::xnystrace:
      return kFewestNystrom;
    default:
      return 2;
  }
}

}  // namespace

TraceMethod resolved(const TraceOptions& o) {
  if (o.method != TraceMethod::automatic) return o.method;
  return o.positive_semidefinite && o.products >= kFewestNystrom && o.products <= 128 ? TraceMethod::xnystrace
                                                                                      : TraceMethod::hutchinson;
}

template <class T>
Estimate trace(LinearOperator<T>& a, const TraceOptions& o, TraceRun* report) {
  const Index n = a.dimension(), least = fewest_products(resolved(o));
  if (n < 1) throw InputError("trace: an operator of dimension 0, expected at least 1");
  if (o.products < least)
    throw UsageError(fmt::format("trace: {} products for {}, expected at least {}", o.products,
                                 trace_method_names()[static_cast<std::size_t>(resolved(o))], least));
  TraceRun own;
  TraceRun& run = report != nullptr ? *report : own;
  run = {method_for(n, o), trace_products(n, o), o.products >= n};
  std::optional<InterruptScope> scope;
  if (o.interrupted) scope.emplace(o.interrupted);
  if (run.exact) return sum_of_diagonal(a, o);
  if (run.method == TraceMethod::xnystrace) {
    if (const std::optional<Estimate> e = xnystrace(a, o)) return *e;
    run.method = TraceMethod::xtrace;
    run.products += o.products / 2 * 2;
  }
  switch (run.method) {
    case TraceMethod::hutch_plus_plus:
      return hutch_plus_plus(a, o);
    case TraceMethod::xtrace:
      return xtrace(a, o);
    default: {
      const Estimate e = hutchinson(a, o);
      run.products = e.probes;
      return e;
    }
  }
}

template <class T>
Estimate frobenius_squared(LinearOperator<T>& a, Index probes, std::uint64_t seed, double confidence) {
  const Index n = a.dimension();
  if (n < 1) throw InputError("frobenius_squared: an operator of dimension 0, expected at least 1");
  const Estimate e = probes >= n ? known(sum(samples_of_all("frobenius_squared", a).squared), n, seed, confidence)
                                 : mean_of(samples_of(a, 0, probes, seed, kAsTheyAre).squared, seed, confidence);
  return with_rounding(e, 20 * static_cast<double>(std::numeric_limits<T>::epsilon()) * e.value);
}

Index detail::trace_products(Index n, const TraceOptions& o) {
  if (o.products >= n) return n;
  const TraceMethod method = method_for(n, o);
  if (method == TraceMethod::xnystrace) return std::min(o.products, n / 2);
  return method == TraceMethod::xtrace ? o.products / 2 * 2 : o.products;
}

Index detail::trace_lanes(Index n, const TraceOptions& o) {
  const TraceMethod method = method_for(n, o);
  const Index products = trace_products(n, o);
  const Index together = o.products >= n                          ? n
                         : method == TraceMethod::hutch_plus_plus ? products - 2 * (products / 3)
                         : method == TraceMethod::xtrace          ? products / 2
                                                                  : products;
  return std::clamp<Index>(together, 1, kProbeLanes);
}

namespace {

/// A sketch is probes and range; beside it lie what the range is orthonormalised with, then its products, then what is
/// left of the probes.
template <class T>
Needs needs_of(TraceMethod method, Index n, Index products, Index lanes) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T)));
  const bool plain = method == TraceMethod::hutchinson, nystrom = method == TraceMethod::xnystrace;
  const Index parts = nystrom ? 1 : method == TraceMethod::xtrace ? 2 : 3;
  const Index k = plain ? 0 : products / parts;
  const Index beside = plain                           ? 2 * std::min(kProbeLanes, products)
                       : nystrom                       ? 0
                       : method == TraceMethod::xtrace ? k
                                                       : std::max(k, 2 * std::min(kProbeLanes, products - 2 * k));
  const Index square = 2 * k * k * static_cast<Index>(nystrom ? sizeof(double) : sizeof(T)),
              samples = 2 * products * static_cast<Index>(sizeof(double));
  const Index later = checked_multiply(beside, vector) + square + samples;
  const Index log = k > 0 ? Basis<T>::orthonormalize_bytes(0, k) + (nystrom ? square : 0) : 0;
  return {checked_multiply(2 * k, vector) + std::max(later, log), {{lanes * k * static_cast<Index>(sizeof(T))}}};
}

}  // namespace

template <class T>
Needs detail::trace_needs(Index n, const TraceOptions& o) {
  const Index products = trace_products(n, o), lanes = trace_lanes(n, o);
  const TraceMethod method = o.products >= n ? TraceMethod::hutchinson : method_for(n, o);
  Needs needs = needs_of<T>(method, n, products, lanes);
  if (method != TraceMethod::xnystrace) return needs;
  const Needs other = needs_of<T>(TraceMethod::xtrace, n, o.products, lanes);  // which may take its place
  needs.buffers = std::max(needs.buffers, other.buffers);
  needs.scratch.insert(needs.scratch.end(), other.scratch.begin(), other.scratch.end());
  return needs;
}

template Needs detail::trace_needs<float>(Index, const TraceOptions&);
template Needs detail::trace_needs<double>(Index, const TraceOptions&);
template Estimate trace(LinearOperator<float>&, const TraceOptions&, TraceRun*);
template Estimate trace(LinearOperator<double>&, const TraceOptions&, TraceRun*);
template Estimate frobenius_squared(LinearOperator<float>&, Index, std::uint64_t, double);
template Estimate frobenius_squared(LinearOperator<double>&, Index, std::uint64_t, double);

}  // namespace hso
