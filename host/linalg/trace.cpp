// SPDX-License-Identifier: Apache-2.0
//
// Traces and Frobenius norms from random probes, all probes as lanes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/error.hpp"
#include "hsogpu/spectrum.hpp"
#include "io/choice.hpp"
#include "linalg/basis.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

const std::vector<std::string>& trace_method_names() {
  static const std::vector<std::string> names{"hutchinson", "hutch_plus_plus", "xtrace"};
  return names;
}

TraceMethod parse_trace_method(const std::string& name) {
  return parse_choice<TraceMethod>("trace method", name, trace_method_names());
}

namespace {

using Numbers = std::vector<double>;
constexpr Index kLanes = 32;

/// Lanes first, first + 1, ... of the seed's probes.
template <class T>
void fill_probes(Ops<T>& ops, Index n, Index first, Index lanes, std::uint64_t seed, Distribution distribution, T* z) {
  for (Index p = 0; p < lanes; ++p)
    ops.for_each(1, n, RandomFill<T>{z + p * n, seed, static_cast<std::uint64_t>(first + p), distribution, 0, 1});
}

/// take(first, k, z, Az) of `probes` Rademacher vectors, `kLanes` at a time; z is passed through `prepare` first.
template <class T, class Prepare, class Take>
void probe(LinearOperator<T>& a, Index first, Index probes, std::uint64_t seed, const Prepare& prepare,
           const Take& take) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension(), lanes = std::min(kLanes, probes);
  Buffer<T> z(a.context(), lanes * n), az(a.context(), lanes * n);
  for (Index done = 0; done < probes; done += lanes) {
    const Index k = std::min(lanes, probes - done);
    fill_probes(ops, n, first + done, k, seed, Distribution::rademacher, z.data());
    prepare(k, z.data());
    a.apply(vector_view<const T>(z.data(), n, k), vector_view(az.data(), n, k));
    take(done, k, z.data(), az.data());
  }
}

enum class Form { quadratic, squared };  ///< z'Az, |Az|^2

/// One sample a probe, read when all are there.
template <class T, class Prepare>
Numbers samples_of(LinearOperator<T>& a, Form form, Index first, Index probes, std::uint64_t seed,
                   const Prepare& prepare) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension();
  Buffer<double> samples(a.context(), probes);
  probe(a, first, probes, seed, prepare, [&](Index done, Index k, const T* z, const T* az) {
    ops.dots_on_device(k, n, form == Form::quadratic ? z : az, n, az, n, samples.data() + done);
  });
  return samples.download();
}

constexpr auto kAsTheyAre = [](Index, auto*) {};

template <class T>
Estimate hutchinson(LinearOperator<T>& a, const TraceOptions& o) {
  return mean_of(samples_of(a, Form::quadratic, 0, o.products, o.seed, kAsTheyAre), o.seed, o.confidence);
}

/// Rows [0, k) of an orthonormal basis of the range of A Z, Z k Rademacher (or sphere) probes.
template <class T>
struct Sketch {
  Sketch(LinearOperator<T>& a, Index k, std::uint64_t seed, Distribution distribution)
      : probes(a.context(), k * a.dimension()), range(a.context(), a.dimension(), k) {
    auto& ops = a.context().template ops<T>();
    const Index n = a.dimension();
    fill_probes(ops, n, 0, k, seed, distribution, probes.data());
    for (Index first = 0; first < k; first += kLanes) {
      const Index lanes = std::min(kLanes, k - first);
      a.apply(vector_view<const T>(probes.data() + first * n, n, lanes), vector_view(range.row(first), n, lanes));
    }
    Numbers squares(static_cast<std::size_t>(k));
    ops.dots(k, n, range.row(0), n, range.row(0), n, squares.data());
    const double scale = std::sqrt(*std::max_element(squares.begin(), squares.end()));
    range.orthonormalize(0, k, scale, seed + 1, r);
    range.resize(k);
  }
  Buffer<T> probes;
  Basis<T> range;
  Numbers r;  ///< A z_j = sum_l r[l][j] q_l
};

/// h[k][k] = Q A Q' of the sketched range.
template <class T>
Numbers project(LinearOperator<T>& a, Basis<T>& q) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension(), k = q.size();
  Buffer<T> aq(a.context(), k * n), h(a.context(), k * k);
  for (Index first = 0; first < k; first += kLanes) {
    const Index lanes = std::min(kLanes, k - first);
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
  const Numbers h = project(a, sketch.range);
  double captured = 0;
  for (Index i = 0; i < k; ++i) captured += h[static_cast<std::size_t>(i * k + i)];
  // z'(I - QQ')A(I - QQ')z of fresh probes
  const Numbers rest = samples_of(a, Form::quadratic, k, std::max<Index>(probes, 2), o.seed,
                                  [&](Index lanes, T* z) { sketch.range.project_out(k, lanes, z); });
  Estimate e = mean_of(rest, o.seed, o.confidence);
  e.value += captured;
  e.low += captured;
  e.high += captured;
  return e;
}

/// Column j of the inverse transpose of the upper triangular r, scaled to length 1: the direction of the range that
/// only probe j contributed. r is not singular.
std::vector<Numbers> lonely_directions(const Numbers& r, std::size_t k) {
  std::vector<Numbers> out;
  for (std::size_t j = 0; j < k; ++j) {
    Numbers s(k, 0);  // r' s = e_j, by forward substitution
    for (std::size_t i = j; i < k; ++i) {
      double sum = i == j ? 1 : 0;
      for (std::size_t l = j; l < i; ++l) sum -= r[l * k + i] * s[l];
      s[i] = sum / r[i * k + i];
    }
    double norm = 0;
    for (double x : s) norm += x * x;
    for (double& x : s) x /= std::sqrt(norm);
    out.push_back(std::move(s));
  }
  return out;
}

Numbers times(const Numbers& h, const Numbers& x) {
  const std::size_t k = x.size();
  Numbers y(k, 0);
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j < k; ++j) y[i] += h[i * k + j] * x[j];
  return y;
}

double dot(const Numbers& x, const Numbers& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

/// With Q_j the basis of the range without probe j: tr(Q_j A Q_j') + a probe of the rest with z_j, normalised to the
/// sphere of the n - k + 1 dimensions it lives in. Everything in the coordinates of Q: A z_j = Q' r_j.
template <class T>
Estimate xtrace(LinearOperator<T>& a, const TraceOptions& o) {
  const Index n = a.dimension(), half = std::min(o.products / 2, n);
  const auto k = static_cast<std::size_t>(half);
  auto& ops = a.context().template ops<T>();
  Sketch<T> sketch(a, half, o.seed, Distribution::normal);
  const Numbers h = project(a, sketch.range);
  Buffer<T> w_device(a.context(), half * half);
  ops.gemm({half, half, n, sketch.probes.data(), n, false, sketch.range.row(0), n, true, w_device.data(), half});
  const std::vector<T> w_host = w_device.download();
  Numbers squares(k);
  ops.dots(half, n, sketch.probes.data(), n, sketch.probes.data(), n, squares.data());
  double captured = 0;
  for (std::size_t i = 0; i < k; ++i) captured += h[i * k + i];
  // The whole range was seen, with or without any one probe: nothing is left to estimate.
  bool all = half == n;
  for (std::size_t i = 0; i < k; ++i) all = all || sketch.r[i * k + i] == 0;
  if (all) return {captured, 0, captured, captured, o.confidence, half, o.seed};
  const std::vector<Numbers> lonely = lonely_directions(sketch.r, k);
  Numbers samples;
  for (std::size_t j = 0; j < k; ++j) {
    const Numbers& s = lonely[j];
    Numbers w(w_host.begin() + static_cast<std::ptrdiff_t>(j * k),
              w_host.begin() + static_cast<std::ptrdiff_t>((j + 1) * k));
    Numbers r(k), c = w;
    for (std::size_t i = 0; i < k; ++i) r[i] = sketch.r[i * k + j];
    const double along = dot(s, w);
    for (std::size_t i = 0; i < k; ++i) c[i] -= along * s[i];
    const double rest = squares[j] - dot(c, c);  // |(I - Q_j'Q_j) z_j|^2
    const double form = dot(w, r) - 2 * dot(c, r) + dot(c, times(h, c));
    const double scale = rest > 0 ? static_cast<double>(n - half + 1) / rest : 0;
    samples.push_back(captured - dot(s, times(h, s)) + scale * form);
  }
  return mean_of(samples, o.seed, o.confidence);
}

}  // namespace

template <class T>
Estimate trace(LinearOperator<T>& a, const TraceOptions& o) {
  const Index least = o.method == TraceMethod::hutchinson ? 2 : o.method == TraceMethod::xtrace ? 4 : 6;
  if (a.dimension() < 1) throw InputError("trace: an operator of dimension 0, expected at least 1");
  if (o.products < least)
    throw UsageError(fmt::format("trace: {} products for {}, expected at least {}", o.products,
                                 trace_method_names()[static_cast<std::size_t>(o.method)], least));
  switch (o.method) {
    case TraceMethod::hutch_plus_plus:
      return hutch_plus_plus(a, o);
    case TraceMethod::xtrace:
      return xtrace(a, o);
    default:
      return hutchinson(a, o);
  }
}

template <class T>
Estimate frobenius_squared(LinearOperator<T>& a, Index probes, std::uint64_t seed, double confidence) {
  if (a.dimension() < 1) throw InputError("frobenius_squared: an operator of dimension 0, expected at least 1");
  return mean_of(samples_of(a, Form::squared, 0, probes, seed, kAsTheyAre), seed, confidence);
}

/// Welford's update of every entry's mean and sum of squared deviations, on the host.
template <class T>
DiagonalEstimate diagonal(LinearOperator<T>& a, const DiagonalOptions& options) {
  if (options.probes < 2)
    throw InputError(fmt::format("diagonal: {} probes, expected at least 2 for error bars", options.probes));
  const Index n = a.dimension();
  const auto size = static_cast<std::size_t>(n);
  DiagonalEstimate out{Numbers(size), Numbers(size), options.probes, options.seed};
  std::vector<T> products(size);
  double seen = 0;
  auto& ops = a.context().template ops<T>();
  probe(a, 0, options.probes, options.seed, kAsTheyAre, [&](Index, Index k, const T* z, T* az) {
    for (Index p = 0; p < k; ++p) {
      ops.for_each(1, n, Scale<T>{z + p * n, az + p * n, n, az + p * n, n, false});
      a.context().to_host(az + p * n, products.data(), n * static_cast<Index>(sizeof(T)));
      ++seen;
      for (std::size_t i = 0; i < size; ++i) {
        const double from_mean = static_cast<double>(products[i]) - out.values[i];
        out.values[i] += from_mean / seen;
        out.standard_errors[i] += from_mean * (static_cast<double>(products[i]) - out.values[i]);
      }
    }
  });
  for (double& e : out.standard_errors) e = std::sqrt(e / (seen - 1) / seen);
  return out;
}

Index detail::trace_lanes(const TraceOptions& o) {
  const Index together = o.method == TraceMethod::hutchinson        ? o.products
                         : o.method == TraceMethod::hutch_plus_plus ? o.products - 2 * (o.products / 3)
                                                                    : o.products / 2;
  return std::clamp<Index>(together, 1, kLanes);
}

/// A sketch is probes and range; beside it lie what the range is orthonormalised with, then its products, then what is
/// left of the probes.
template <class T>
Needs detail::trace_needs(Index n, const TraceOptions& o) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T))), lanes = trace_lanes(o);
  const bool plain = o.method == TraceMethod::hutchinson, xtrace = o.method == TraceMethod::xtrace;
  const Index k = plain ? 0 : std::min(n, o.products / (xtrace ? 2 : 3));
  const Index beside = plain    ? 2 * std::min(kLanes, o.products)
                       : xtrace ? k
                                : std::max(k, 2 * std::min(kLanes, o.products - 2 * k));
  const Index square = 2 * k * k * static_cast<Index>(sizeof(T)),
              samples = o.products * static_cast<Index>(sizeof(double));
  const Index later = checked_multiply(beside, vector) + square + samples;
  const Index log = k > 0 ? Basis<T>::orthonormalize_bytes(0, k) : 0;
  return {checked_multiply(2 * k, vector) + std::max(later, log), {{lanes * k * static_cast<Index>(sizeof(T))}}};
}

template Needs detail::trace_needs<float>(Index, const TraceOptions&);
template Needs detail::trace_needs<double>(Index, const TraceOptions&);
template Estimate trace(LinearOperator<float>&, const TraceOptions&);
template DiagonalEstimate diagonal(LinearOperator<float>&, const DiagonalOptions&);
template DiagonalEstimate diagonal(LinearOperator<double>&, const DiagonalOptions&);
template Estimate trace(LinearOperator<double>&, const TraceOptions&);
template Estimate frobenius_squared(LinearOperator<float>&, Index, std::uint64_t, double);
template Estimate frobenius_squared(LinearOperator<double>&, Index, std::uint64_t, double);

}  // namespace hso
