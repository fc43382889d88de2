// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "linalg/prepare.hpp"

namespace hso {

using namespace detail;

namespace {

constexpr double kResidualLimit = 30;  // times n eps times the condition: what a stable inverse leaves

/// A prepared matrix and the copy that `a` is restored from.
template <class T>
struct Work {
  Context& context;
  Index n;
  T* a;
  const T* original;
  double top;
  double tolerance;
  bool pseudo;

  Ops<T>& ops() const { return context.ops<T>(); }
  void restore() const { ops().copy(n * n, original, a); }
};

/// Numbers that say whether Cholesky can be trusted; a holds the inverse afterwards when the minor is 0.
template <class T>
Index invert_by_cholesky(const Work<T>& w, InverseReport& out) {
  const BlockingWork work(w.n);
  const Index minor = w.ops().potrf(w.n, w.a);
  if (minor != 0) return minor;
  if (const Index pivot = w.ops().potri(w.n, w.a); pivot != 0) return pivot;
  out.route = InverseRoute::cholesky;
  out.condition = w.ops().nrm2(w.n * w.n, w.original) * w.ops().nrm2(w.n * w.n, w.a);
  if (out.condition * w.tolerance < 1) {  // then no eigenvalue can be below the tolerance
    out.inertia = {w.n, 0, 0};
    out.rank = w.n;
  }
  return 0;
}

template <class T>
void invert_by_eigenvalues(const Work<T>& w, InverseReport& out) {
  const EighResult e = decompose(w.context, w.n, w.a, w.original, w.top, EighOptions{});
  out.route = InverseRoute::eigen;
  out.fallbacks.insert(out.fallbacks.end(), e.fallbacks.begin(), e.fallbacks.end());
  out.status = e.status;
  if (!e.ok()) return;
  const SpectrumSummary s = summarize_spectrum(e.values, w.tolerance);
  out.inertia = s.inertia;
  out.rank = s.rank;
  out.condition = s.condition;
  if (s.inertia.zero > 0 && !w.pseudo) {
    out.status = LinalgStatus::singular;
    return;
  }
  std::vector<double> f = e.values;
  for (double& value : f) value = std::abs(value) <= s.tolerance ? 0 : 1 / value;
  Scratch scratch(w.context);
  T* inverted = scratch.take<T>(w.n * w.n);
  from_spectrum<T>(w.context, w.n, w.a, f, inverted);
  w.ops().copy(w.n * w.n, inverted, w.a);
}

template <class T>
GemmArgs<T> square_product(Index n, const T* a, const T* b, T* c) {
  return {
      .m = n, .n = n, .k = n, .a = a, .lda = n, .trans_a = false, .b = b, .ldb = n, .trans_b = false, .c = c, .ldc = n};
}

/// max |A X - I|, or max |A X A - A| / max |A| where X is a pseudo-inverse of lower rank.
template <class T>
double residual_of(const Work<T>& w, bool full_rank) {
  Scratch scratch(w.context);
  T* product = scratch.take<T>(w.n * w.n);
  w.ops().gemm(square_product<T>(w.n, w.original, w.a, product));
  if (full_rank) {
    w.ops().for_each(1, w.n, AddDiagonal<T>{product, w.n, T(-1)});
    return w.ops().max_abs(w.n * w.n, product);
  }
  T* difference = scratch.take<T>(w.n * w.n);
  w.ops().copy(w.n * w.n, w.original, difference);
  GemmArgs<T> again = square_product<T>(w.n, product, w.original, difference);
  again.beta = -1;
  w.ops().gemm(again);
  return w.ops().max_abs(w.n * w.n, difference) / w.top;
}

template <class T>
void measure(const Work<T>& w, InverseReport& out) {
  out.residual = residual_of(w, out.inertia.zero == 0);
  out.residual_units = out.residual / spectrum_tolerance<T>(w.n);
}

/// A pseudo-inverse is conditioned by what it keeps, which the tolerance bounds.
template <class T>
bool accurate(const Work<T>& w, const InverseReport& out) {
  const double condition = std::max(1.0, std::min(out.condition, 1 / w.tolerance));
  return out.residual_units <= kResidualLimit * condition;
}

template <class T>
void invert(const Work<T>& w, InverseRoute route, InverseReport& out) {
  if (route != InverseRoute::eigen) {
    const Index minor = invert_by_cholesky(w, out);
    const bool proven = minor == 0 && out.rank == w.n;
    if (minor == 0 && (proven || route == InverseRoute::cholesky)) return measure(w, out);
    w.restore();
    if (route == InverseRoute::cholesky) {
      out.status = LinalgStatus::not_positive_definite;
      return;
    }
    out.fallbacks.push_back(
        minor != 0 ? fmt::format("eigenvalues after: minor {} is not positive", minor)
                   : fmt::format("eigenvalues after: condition {:.2g} leaves the rank in doubt", out.condition));
  }
  invert_by_eigenvalues(w, out);
  if (out.status == LinalgStatus::ok) measure(w, out);
}

/// The whole computation again in float64, when float32 left more error than its condition explains.
void invert_wide(const Work<float>& w, const InverseOptions& options, InverseReport& out) {
  const Index n = w.n;
  Scratch scratch(w.context);
  double* a = scratch.take<double>(n * n);
  double* original = scratch.take<double>(n * n);
  convert(w.context, n * n, w.original, a);
  w.context.ops<double>().copy(n * n, a, original);
  InverseReport wide;
  wide.fallbacks = std::move(out.fallbacks);
  wide.fallbacks.push_back("float64 after: residual too large");
  invert(Work<double>{w.context, n, a, original, w.top, w.tolerance, w.pseudo}, options.route, wide);
  out = std::move(wide);
  if (out.status != LinalgStatus::ok) return;
  convert(w.context, n * n, a, w.a);
  measure(w, out);
}

template <class T>
void invert_with_retry(const Work<T>& w, const InverseOptions& options, InverseReport& out) {
  invert(w, options.route, out);
  if constexpr (kIsFloat<T>) {
    if (out.status == LinalgStatus::ok && !accurate(w, out)) invert_wide(w, options, out);
  }
}

InverseReport zero_matrix(Index n, bool pseudo) {
  InverseReport out;
  out.status = pseudo ? LinalgStatus::ok : LinalgStatus::singular;
  out.route = InverseRoute::eigen;
  out.inertia.zero = n;
  out.condition = std::numeric_limits<double>::infinity();
  return out;
}

}  // namespace

template <class T>
Index inverse_bytes(Context& context, Index n) {
  const Index square = checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
  return square + std::max(checked_multiply(square, 2), context.ops<T>().syevd_workspace_bytes(n, true));
}

template <class T>
InverseReport inverse(Context& context, View<T> a, const InverseOptions& options) {
  const Index n = square_order(a, "inverse");
  if (n == 0) return {.status = LinalgStatus::ok, .condition = 1};
  require_memory(context, "inverse", n, [&](Index m) { return inverse_bytes<T>(context, m); });
  auto& ops = context.ops<T>();
  const Prepared p = prepare(ops, n, a.data);
  if (!p.finite) return {.status = LinalgStatus::not_finite};
  if (p.top == 0) return zero_matrix(n, options.pseudo);
  Scratch scratch(context);
  T* original = scratch.take<T>(n * n);
  ops.copy(n * n, a.data, original);
  const double tolerance = options.tolerance > 0 ? options.tolerance : spectrum_tolerance<T>(n);
  const Work<T> work{context, n, a.data, original, p.top, tolerance, options.pseudo};
  InverseReport out;
  invert_with_retry(work, options, out);
  if (out.status == LinalgStatus::ok) {
    scale_by_power(ops, n * n, a.data, -p.exponent);
    if (!std::isfinite(ops.max_abs(n * n, a.data))) out.status = LinalgStatus::not_finite;
  }
  if (out.status != LinalgStatus::ok) {
    work.restore();
    scale_by_power(ops, n * n, a.data, p.exponent);
  }
  return out;
}

template Index inverse_bytes<float>(Context&, Index);
template Index inverse_bytes<double>(Context&, Index);
template InverseReport inverse(Context&, View<float>, const InverseOptions&);
template InverseReport inverse(Context&, View<double>, const InverseOptions&);

}  // namespace hso
