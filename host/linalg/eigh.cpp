// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "linalg/prepare.hpp"
#include "linalg/tridiagonal.hpp"

namespace hso {

using namespace detail;

namespace {

void check_window(Index n, const EighOptions& o) {
  if (o.vectors && o.route == EigenRoute::reduction)
    throw UsageError("eigh: the reduction route has values alone, found vectors = true");
  const Index last = o.last < 0 ? n - 1 : o.last;
  if (o.first < 0 || o.first > last || last >= n)
    throw UsageError(fmt::format("eigh: eigenvalues {}..{} asked of a matrix of order {}", o.first, last, n));
}

/// All zero: every basis is right, and LAPACK is not asked.
template <class T>
EighResult zero_matrix(Ops<T>& ops, Index n, T* a, const EighOptions& o) {
  const Index count = (o.last < 0 ? n - 1 : o.last) - o.first + 1;
  if (o.vectors) ops.for_each(count, n, UnitVectors<T>{a, n, o.first});
  EighResult out;
  out.values.assign(static_cast<std::size_t>(count), 0.0);
  if (o.check_residual || !o.vectors) out.residual = 0;
  return out;
}

/// Back to the scale of the matrix that was given.
void unscale(EighResult& out, int exponent) {
  for (double& v : out.values) v = std::ldexp(v, exponent);
  const bool finite = std::all_of(out.values.begin(), out.values.end(), [](double v) { return std::isfinite(v); });
  if (out.ok() && !finite) out.status = LinalgStatus::not_finite;
}

bool keeps_copy(const EighOptions& o) { return o.retry || (o.check_residual && o.vectors); }

template <class T>
EighResult eigh_one(Context& context, Index n, T* a, const EighOptions& options) {
  auto& ops = context.ops<T>();
  const Prepared p = prepare(ops, n, a);
  if (!p.finite) return {.status = LinalgStatus::not_finite, .values = {}, .residual = -1, .fallbacks = {}};
  if (p.top == 0) return zero_matrix(ops, n, a, options);
  Scratch scratch(context);
  T* original = keeps_copy(options) ? scratch.take<T>(n * n) : nullptr;
  if (original != nullptr) ops.copy(n * n, a, original);
  EighResult out = decompose(context, n, a, original, p.top, options);
  if (out.status == LinalgStatus::failed) scale_by_power(ops, n * n, a, p.exponent);
  unscale(out, p.exponent);
  return out;
}

/// True when no matrix of the batch needs a scale of its own: one look at the Frobenius norms instead of one at each.
template <class T>
bool ordinary(Ops<T>& ops, Index n, Index batch, const T* a) {
  const double limit = kIsFloat<T> ? 1e24 : 1e200;
  std::vector<double> squares(static_cast<std::size_t>(batch));
  ops.dots(batch, n * n, a, n * n, a, n * n, squares.data());
  return std::all_of(squares.begin(), squares.end(), [=](double s) { return s > 1 / limit && s < limit; });
}

template <class T>
bool solve_together(Context& context, Index n, Index batch, T* a, bool vectors, std::vector<EighResult>& out) {
  auto& ops = context.ops<T>();
  Scratch scratch(context);
  T* w = scratch.take<T>(batch * n);
  for (Index b = 0; b < batch; ++b) ops.for_each(n, n, Symmetrize<T>{a + b * n * n, n});
  const BlockingWork work(n, batch);
  if (ops.syevd_batched(n, batch, a, w, vectors) != 0) return false;
  std::vector<T> host(static_cast<std::size_t>(batch * n));
  context.to_host(w, host.data(), static_cast<Index>(host.size() * sizeof(T)));
  for (Index b = 0; b < batch; ++b)
    out[static_cast<std::size_t>(b)].values.assign(host.begin() + b * n, host.begin() + (b + 1) * n);
  return std::all_of(host.begin(), host.end(), [](T v) { return std::isfinite(v); });
}

}  // namespace

template <class T>
Index eigh_bytes(Context& context, Index n, const EighOptions& options) {
  const Index square = checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T)));
  const Index count = options.last < 0 ? n - options.first : options.last - options.first + 1;
  const bool part = count < n;
  auto& ops = context.ops<T>();
  Index bytes = 0;
  if (takes_reduction<T>(context, n, options))
    bytes = tridiagonalize_bytes<T>(n);
  else if (part)
    bytes = count * n * static_cast<Index>(sizeof(T)) +
            ops.syevd_range_workspace_bytes(n, options.first, options.first + count - 1, options.vectors);
  else
    bytes = ops.syevd_workspace_bytes(n, options.vectors);
  if (keeps_copy(options)) bytes += square;
  return bytes;
}

template <class T>
EighResult eigh(Context& context, View<T> a, const EighOptions& options) {
  const Index n = square_order(a, "eigh");
  if (n == 0) return {};
  check_window(n, options);
  require_memory(context, "eigh", n, [&](Index m) {
    EighOptions whole = options;
    if (m != n) {
      whole.first = 0;
      whole.last = -1;
    }
    return eigh_bytes<T>(context, m, whole);
  });
  return eigh_one(context, n, a.data, options);
}

template <class T>
std::vector<EighResult> eigh_batched(Context& context, View<T> a, const EighOptions& options) {
  if (a.shape.rank() != 3 || a.shape[1] != a.shape[2] || a.lanes != 1)
    throw InputError(fmt::format("eigh_batched: matrices of shape {}, expected [batch, n, n]", a.shape.to_string()));
  const Index batch = a.shape[0], n = a.shape[1];
  std::vector<EighResult> out(static_cast<std::size_t>(batch));
  if (batch == 0 || n == 0) return out;
  EighOptions whole = options;
  whole.first = 0;
  whole.last = -1;
  auto& ops = context.ops<T>();
  Scratch scratch(context);
  const bool together = !options.check_residual && ordinary(ops, n, batch, a.data);
  T* original = together ? scratch.take<T>(batch * n * n) : nullptr;
  if (together) {
    ops.copy(batch * n * n, a.data, original);
    if (solve_together(context, n, batch, a.data, options.vectors, out)) return out;
    ops.copy(batch * n * n, original, a.data);
  }
  for (Index b = 0; b < batch; ++b) out[static_cast<std::size_t>(b)] = eigh_one(context, n, a.data + b * n * n, whole);
  return out;
}

template Index eigh_bytes<float>(Context&, Index, const EighOptions&);
template Index eigh_bytes<double>(Context&, Index, const EighOptions&);
template EighResult eigh(Context&, View<float>, const EighOptions&);
template EighResult eigh(Context&, View<double>, const EighOptions&);
template std::vector<EighResult> eigh_batched(Context&, View<float>, const EighOptions&);
template std::vector<EighResult> eigh_batched(Context&, View<double>, const EighOptions&);

}  // namespace hso
