// SPDX-License-Identifier: Apache-2.0
//
// Traces and Frobenius norms from random probes, all probes as lanes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/error.hpp"
#include "hsogpu/spectrum.hpp"
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

double mean(const Numbers& x) {
  double sum = 0;
  for (double v : x) sum += v / static_cast<double>(x.size());
  return sum;
}

template <class T>
double rounding_of(Index n, double frobenius_squared) {
  return trace_rounding(static_cast<double>(std::numeric_limits<T>::epsilon()), n, frobenius_squared);
}

template <class T>
Estimate hutchinson(LinearOperator<T>& a, const TraceOptions& o) {
  const ProbeSamples s = samples_of(a, 0, o.products, o.seed, kAsTheyAre);
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
  const Index n = a.dimension(), k = std::min(o.products / 3, n), probes = o.products - 2 * k;
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
  Estimate e;
  e.value = e.low = e.high = value;
  e.confidence = o.confidence;
  e.probes = static_cast<Index>(sketch.squares.size());
  e.seed = o.seed;
  return with_rounding(e, rounding_of<T>(n, mean(sketch.squares)));
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
  const Index n = a.dimension(), half = std::min(o.products / 2, n);
  const auto k = static_cast<std::size_t>(half);
  auto& ops = a.context().template ops<T>();
  Sketch<T> sketch(a, half, o.seed, Distribution::normal);
  sketch.orthonormalize();
  XTraceSketch small{n, SmallMatrix(k, project(a, sketch.range)), SmallMatrix(k, sketch.r), SmallMatrix(k), Numbers(k)};
  bool all = half == n;
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

/// Of A + shift I with a shift of the size of rounding: Z'(A + shift I)Z is positive definite where A is semidefinite.
template <class T>
Estimate xnystrace(LinearOperator<T>& a, const TraceOptions& o) {
  const Index n = a.dimension(), count = std::min(o.products, n);
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
  if (!all)
    throw NumericalError(
        "trace: xnystrace: z'Az is negative for some z, expected a positive semidefinite matrix; xtrace takes any");
  return with_rounding(count == n ? exact(all->value, n, sketch, o) : jackknife(*all, n, sketch, o),
                       static_cast<double>(shift) * std::sqrt(static_cast<double>(n)));
}

}  // namespace

TraceMethod resolved(const TraceOptions& o) {
  if (o.method != TraceMethod::automatic) return o.method;
  return o.positive_semidefinite && o.products > 2 && o.products <= 128 ? TraceMethod::xnystrace
                                                                        : TraceMethod::hutchinson;
}

template <class T>
Estimate trace(LinearOperator<T>& a, const TraceOptions& o) {
  const TraceMethod method = resolved(o);
  const Index least = method == TraceMethod::hutchinson  ? 2
                      : method == TraceMethod::xtrace    ? 4
                      : method == TraceMethod::xnystrace ? 3
                                                         : 6;
  if (a.dimension() < 1) throw InputError("trace: an operator of dimension 0, expected at least 1");
  if (o.products < least)
    throw UsageError(fmt::format("trace: {} products for {}, expected at least {}", o.products,
                                 trace_method_names()[static_cast<std::size_t>(method)], least));
  switch (method) {
    case TraceMethod::hutch_plus_plus:
      return hutch_plus_plus(a, o);
    case TraceMethod::xtrace:
      return xtrace(a, o);
    case TraceMethod::xnystrace:
      return xnystrace(a, o);
    default:
      return hutchinson(a, o);
  }
}

template <class T>
Estimate frobenius_squared(LinearOperator<T>& a, Index probes, std::uint64_t seed, double confidence) {
  if (a.dimension() < 1) throw InputError("frobenius_squared: an operator of dimension 0, expected at least 1");
  const Numbers squared = samples_of(a, 0, probes, seed, kAsTheyAre).squared;
  return with_rounding(mean_of(squared, seed, confidence),
                       20 * static_cast<double>(std::numeric_limits<T>::epsilon()) * mean(squared));
}

Index detail::trace_lanes(const TraceOptions& o) {
  const TraceMethod method = resolved(o);
  const Index together = method == TraceMethod::hutch_plus_plus ? o.products - 2 * (o.products / 3)
                         : method == TraceMethod::xtrace        ? o.products / 2
                                                                : o.products;
  return std::clamp<Index>(together, 1, kProbeLanes);
}

/// A sketch is probes and range; beside it lie what the range is orthonormalised with, then its products, then what is
/// left of the probes.
template <class T>
Needs detail::trace_needs(Index n, const TraceOptions& o) {
  const TraceMethod method = resolved(o);
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T))), lanes = trace_lanes(o);
  const bool plain = method == TraceMethod::hutchinson, nystrom = method == TraceMethod::xnystrace;
  const Index parts = nystrom ? 1 : method == TraceMethod::xtrace ? 2 : 3;
  const Index k = plain ? 0 : std::min(n, o.products / parts);
  const Index beside = plain                           ? 2 * std::min(kProbeLanes, o.products)
                       : nystrom                       ? 0
                       : method == TraceMethod::xtrace ? k
                                                       : std::max(k, 2 * std::min(kProbeLanes, o.products - 2 * k));
  const Index square = 2 * k * k * static_cast<Index>(nystrom ? sizeof(double) : sizeof(T)),
              samples = 2 * o.products * static_cast<Index>(sizeof(double));
  const Index later = checked_multiply(beside, vector) + square + samples;
  const Index log = k > 0 ? Basis<T>::orthonormalize_bytes(0, k) + (nystrom ? square : 0) : 0;
  return {checked_multiply(2 * k, vector) + std::max(later, log), {{lanes * k * static_cast<Index>(sizeof(T))}}};
}

template Needs detail::trace_needs<float>(Index, const TraceOptions&);
template Needs detail::trace_needs<double>(Index, const TraceOptions&);
template Estimate trace(LinearOperator<float>&, const TraceOptions&);
template Estimate trace(LinearOperator<double>&, const TraceOptions&);
template Estimate frobenius_squared(LinearOperator<float>&, Index, std::uint64_t, double);
template Estimate frobenius_squared(LinearOperator<double>&, Index, std::uint64_t, double);

}  // namespace hso
