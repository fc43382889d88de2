// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "linalg/memory_needs.hpp"
#include "linalg/prepare.hpp"

namespace hso {

using namespace detail;

template <class T>
CholeskyResult cholesky(Context& context, View<T> a) {
  const Index n = square_order(a, "cholesky");
  auto& ops = context.ops<T>();
  if (!std::isfinite(ops.max_abs(n * n, a.data))) return {LinalgStatus::not_finite, 0};
  ops.for_each(n, n, Symmetrize<T>{a.data, n});
  const BlockingWork work(n);
  const Index minor = ops.potrf(n, a.data);
  return {minor == 0 ? LinalgStatus::ok : LinalgStatus::not_positive_definite, minor};
}

namespace {

/// In units of sqrt(n) eps. By Cholesky (A + dA) x = b with |dA| <= g |R'||R|, and independent rounding errors make
/// g = l sqrt(3 n + 1) eps / 2 for small l (Higham and Mary, SIAM J. Sci. Comput. 41 (2019) A2815).
constexpr double kBackwardErrorLimit = 10;

/// A prepared system: A x = b for every row b of `b`, of which x must stay apart.
template <class T>
struct System {
  Context& context;
  Index n, nrhs;
  const T* a;
  const T* b;
  double top;   ///< max |A_ij|
  double norm;  ///< |A|_2
};

/// |A|_2 from below: the last growth of a random vector in four products. It misses no more than a factor of n^(1/8):
/// what hides the largest eigenvalue that long is as large. Entries of A are below 1, so nothing overflows.
template <class T>
double norm_of(Context& context, Index n, const T* a) {
  auto& ops = context.ops<T>();
  Scratch scratch(context);
  T* v = scratch.take<T>(n);
  T* w = scratch.take<T>(n);
  ops.for_each(1, n, RandomFill<T>{v, 0, 0, Distribution::normal, 0, 1});
  for (int step = 0; step < 4; ++step) {
    ops.gemm({1, n, n, v, n, false, a, n, false, w, n});
    std::swap(v, w);
  }
  const double before = ops.nrm2(n, w);
  return before > 0 ? ops.nrm2(n, v) / before : 0;
}

/// |A x - b| / (|A| |x| + |b|), the largest of all right-hand sides; not finite when x is not.
template <class T>
double backward_error_of(const System<T>& s, const T* x) {
  auto& ops = s.context.template ops<T>();
  Scratch scratch(s.context);
  T* r = scratch.take<T>(s.nrhs * s.n);
  ops.copy(s.nrhs * s.n, s.b, r);
  ops.gemm({.m = s.nrhs,
            .n = s.n,
            .k = s.n,
            .a = x,
            .lda = s.n,
            .trans_a = false,
            .b = s.a,
            .ldb = s.n,
            .trans_b = false,
            .c = r,
            .ldc = s.n,
            .alpha = 1,
            .beta = -1});
  const auto squares = [&](const T* rows) {
    std::vector<double> out(static_cast<std::size_t>(s.nrhs));
    ops.dots(s.nrhs, s.n, rows, s.n, rows, s.n, out.data());
    return out;
  };
  const std::vector<double> left = squares(r), xx = squares(x), bb = squares(s.b);
  double worst = 0;
  for (std::size_t k = 0; k < left.size(); ++k) {
    if (left[k] == 0) continue;
    const double error = std::sqrt(left[k]) / (s.norm * std::sqrt(xx[k]) + std::sqrt(bb[k]));
    worst = std::isfinite(error) ? std::max(worst, error) : std::numeric_limits<double>::infinity();
  }
  return worst;
}

template <class T>
double in_units(const System<T>& s, double backward_error) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  return backward_error / (std::sqrt(static_cast<double>(s.n)) * eps);
}

/// The first pivot of a factor in the precision W that is rounding error of the diagonal it came from, counted from 1,
/// or 0: such a matrix is positive definite by accident.
template <class W, class T>
Index doubtful_pivot(const System<T>& s, const W* factor) {
  Scratch scratch(s.context);
  T* one = scratch.take<T>(1);
  s.context.template ops<T>().fill(1, T(1), one);
  std::vector<double> diagonal(static_cast<std::size_t>(s.n)), pivots(diagonal.size());
  s.context.template ops<T>().dots(s.n, 1, s.a, s.n + 1, one, 0, diagonal.data());
  s.context.template ops<W>().dots(s.n, 1, factor, s.n + 1, factor, s.n + 1, pivots.data());
  for (std::size_t i = 0; i < pivots.size(); ++i)
    if (pivots[i] <= spectrum_tolerance<W>(s.n) * diagonal[i]) return static_cast<Index>(i) + 1;
  return 0;
}

/// `to` := `from`, in the other precision or in the same.
template <class T, class W>
void copy_to(Context& context, Index count, const T* from, W* to) {
  if constexpr (std::is_same_v<W, T>)
    context.ops<T>().copy(count, from, to);
  else
    convert(context, count, from, to);
}

template <class W>
std::vector<Index> cholesky_scratch(Index n, Index nrhs) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(W)));
  return {checked_multiply(n, vector), checked_multiply(nrhs, vector)};
}

/// x by Cholesky in the precision W. Returns the minor that is not safely positive, or 0.
template <class W, class T>
Index by_cholesky(const System<T>& s, T* x) {
  auto& ops = s.context.template ops<W>();
  Scratch scratch(s.context);
  W* factor = scratch.take<W>(s.n * s.n);
  W* rows = scratch.take<W>(s.nrhs * s.n);
  copy_to(s.context, s.n * s.n, s.a, factor);
  copy_to(s.context, s.nrhs * s.n, s.b, rows);
  const BlockingWork work(s.n);
  if (const Index minor = ops.potrf(s.n, factor); minor != 0) return minor;
  if (const Index minor = doubtful_pivot(s, factor); minor != 0) return minor;
  ops.potrs(s.n, s.nrhs, factor, rows);
  copy_to(s.context, s.nrhs * s.n, rows, x);
  return 0;
}

/// X = B V' diag(1 / lambda) V.
template <class T>
LinalgStatus by_eigenvalues(const System<T>& s, T* x) {
  auto& ops = s.context.template ops<T>();
  Scratch scratch(s.context);
  T* v = scratch.take<T>(s.n * s.n);
  T* y = scratch.take<T>(s.nrhs * s.n);
  T* reciprocal = scratch.take<T>(s.n);
  ops.copy(s.n * s.n, s.a, v);
  const EighResult e = decompose(s.context, s.n, v, s.a, s.top, EighOptions{});
  if (!e.ok()) return e.status;
  if (summarize_spectrum(e.values, spectrum_tolerance<T>(s.n)).inertia.zero > 0) return LinalgStatus::singular;
  std::vector<double> inverse = e.values;
  for (double& value : inverse) value = 1 / value;
  upload(s.context, inverse, reciprocal);
  GemmArgs<T> product{.m = s.nrhs,
                      .n = s.n,
                      .k = s.n,
                      .a = s.b,
                      .lda = s.n,
                      .trans_a = false,
                      .b = v,
                      .ldb = s.n,
                      .trans_b = true,
                      .c = y,
                      .ldc = s.n};
  ops.gemm(product);
  ops.for_each(s.nrhs, s.n, Scale<T>{reciprocal, y, s.n, y, s.n, false});
  product.a = y;
  product.trans_b = false;
  product.c = x;
  ops.gemm(product);
  return LinalgStatus::ok;
}

/// The ladder: Cholesky, Cholesky in float64, eigenvalues.
template <class T>
SolveReport run_ladder(const System<T>& s, T* x) {
  SolveReport out;
  const auto good = [&](Index minor) {
    if (minor == 0) out.residual = in_units(s, backward_error_of(s, x));
    return minor == 0 && out.residual <= kBackwardErrorLimit;
  };
  out.minor = by_cholesky<T>(s, x);
  if (good(out.minor)) return out;
  if (kIsFloat<T>) {
    const bool fits =
        s.context.arena().growth({cholesky_scratch<double>(s.n, s.nrhs)}) <= s.context.memory().free_bytes;
    out.fallbacks.push_back(fits ? "float64" : "float64 does not fit into memory");
    if (fits && good(by_cholesky<double>(s, x))) return out;
  }
  out.fallbacks.push_back(out.minor == 0 ? "eigenvalues after: residual too large"
                                         : fmt::format("eigenvalues after: minor {} is not positive", out.minor));
  out.status = by_eigenvalues(s, x);
  out.residual = out.status == LinalgStatus::ok ? in_units(s, backward_error_of(s, x)) : 0;
  if (!(out.residual <= kBackwardErrorLimit)) out.status = LinalgStatus::failed;
  return out;
}

template <class T>
Index solve_bytes(Context& context, Index n, Index nrhs) {
  const Index square = checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
  return 2 * square + 3 * checked_multiply(checked_multiply(nrhs, n), static_cast<Index>(sizeof(T))) +
         (context.is_cuda() ? Index{1} << 20 : 0);
}

}  // namespace

template <class T>
std::vector<std::vector<Index>> detail::solve_scratch(Context& context, Index n, Index nrhs, bool wide) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T))), square = checked_multiply(n, vector);
  const Index rows = checked_multiply(nrhs, vector), work = context.ops<T>().syevd_workspace_bytes(n, true);
  std::vector<std::vector<Index>> out{{rows, square, rows}};
  if (kIsFloat<T> && wide) out.push_back({rows, 2 * square, 2 * rows});
  out.push_back({rows, square, rows, vector, vector, vector, work});
  out.push_back({rows, square, rows, vector, vector, 256 * vector, 256 * vector});
  return out;
}

template <class T>
SolutionCheck check_solution(Context& context, View<const T> a, View<const T> b, View<const T> x) {
  const Index n = square_order(View<T>{const_cast<T*>(a.data), a.shape}, "check_solution");
  for (const View<const T>& rows : {b, x})
    if (rows.shape.rank() != 2 || rows.shape[1] != n || rows.shape[0] != b.shape[0] || rows.lanes != 1)
      throw InputError(fmt::format("check_solution: right-hand sides {} and solutions {}, expected [nrhs, {}] both",
                                   b.shape.to_string(), x.shape.to_string(), n));
  SolutionCheck out;
  if (n == 0 || b.shape[0] == 0) return out;
  auto& ops = context.ops<T>();
  Scratch scratch(context);
  T* scaled = scratch.take<T>(n * n);
  ops.copy(n * n, a.data, scaled);
  const Prepared p = prepare(ops, n, scaled);
  System<T> s{context, n, b.shape[0], a.data, b.data, p.top, 0};
  s.norm = p.finite ? std::ldexp(norm_of(context, n, scaled), p.exponent) : p.top;
  out.backward_error = backward_error_of(s, x.data);
  out.units = in_units(s, out.backward_error);
  out.accepted = out.units <= kBackwardErrorLimit;
  return out;
}

template <class T>
SolveReport solve(Context& context, View<T> a, View<T> b) {
  const Index n = square_order(a, "solve");
  if (b.shape.rank() != 2 || b.shape[1] != n || b.lanes != 1)
    throw InputError(fmt::format("solve: right-hand sides of shape {}, expected [nrhs, {}]", b.shape.to_string(), n));
  const Index nrhs = b.shape[0];
  if (n == 0 || nrhs == 0) return {};
  require_memory(context, "solve", n, [&](Index m) { return solve_bytes<T>(context, m, nrhs); });
  auto& ops = context.ops<T>();
  SolveReport out;
  const Prepared p = prepare(ops, n, a.data);
  if (!p.finite || !std::isfinite(ops.max_abs(nrhs * n, b.data))) {
    if (p.finite) scale_by_power(ops, n * n, a.data, p.exponent);
    out.status = LinalgStatus::not_finite;
    return out;
  }
  Scratch scratch(context);
  T* x = scratch.take<T>(nrhs * n);
  out = run_ladder(System<T>{context, n, nrhs, a.data, b.data, p.top, norm_of(context, n, a.data)}, x);
  scale_by_power(ops, n * n, a.data, p.exponent);
  if (out.status != LinalgStatus::ok) return out;
  scale_by_power(ops, nrhs * n, x, -p.exponent);
  if (std::isfinite(ops.max_abs(nrhs * n, x)))
    ops.copy(nrhs * n, x, b.data);
  else
    out.status = LinalgStatus::not_finite;
  return out;
}

template CholeskyResult cholesky(Context&, View<float>);
template CholeskyResult cholesky(Context&, View<double>);
template SolutionCheck check_solution(Context&, View<const float>, View<const float>, View<const float>);
template SolutionCheck check_solution(Context&, View<const double>, View<const double>, View<const double>);
template SolveReport solve(Context&, View<float>, View<float>);
template SolveReport solve(Context&, View<double>, View<double>);
template std::vector<std::vector<Index>> detail::solve_scratch<float>(Context&, Index, Index, bool);
template std::vector<std::vector<Index>> detail::solve_scratch<double>(Context&, Index, Index, bool);

}  // namespace hso
