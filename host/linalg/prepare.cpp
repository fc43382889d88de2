// SPDX-License-Identifier: Apache-2.0
#include "linalg/prepare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"

namespace hso::detail {

template <class T>
Index square_order(const View<T>& a, const char* what) {
  if (a.shape.rank() != 2 || a.shape[0] != a.shape[1] || a.lanes != 1)
    throw InputError(
        fmt::format("{}: matrix of shape {} and {} lanes, expected [n, n] and 1", what, a.shape.to_string(), a.lanes));
  return a.shape[0];
}

template <class T>
void scale_by_power(Ops<T>& ops, Index n, T* x, int exponent) {
  constexpr int kStep = 100;
  while (exponent != 0) {
    const int step = std::clamp(exponent, -kStep, kStep);
    ops.axpby(n, std::ldexp(T(1), step), x, T(0), x);
    exponent -= step;
  }
}

template <class T>
Prepared prepare(Ops<T>& ops, Index n, T* a) {
  Prepared out{.finite = true, .top = ops.max_abs(n * n, a), .exponent = 0};
  out.finite = std::isfinite(out.top);
  if (!out.finite || out.top == 0) return out;
  out.top = std::frexp(out.top, &out.exponent);
  scale_by_power(ops, n * n, a, -out.exponent);
  ops.for_each(n, n, Symmetrize<T>{a, n});
  return out;
}

void convert(Context& context, Index n, const float* from, double* to) {
  context.ops<double>().for_each(1, n, Convert<double, float>{from, to});
}

void convert(Context& context, Index n, const double* from, float* to) {
  context.ops<float>().for_each(1, n, Convert<float, double>{from, to});
}

void convert(Context& context, Index n, const double* from, double* to) { context.ops<double>().copy(n, from, to); }

template <class T>
void upload(Context& context, Span<const double> host, T* device) {
  const std::vector<T> cast(host.begin(), host.end());
  context.to_device(cast.data(), device, static_cast<Index>(cast.size() * sizeof(T)));
}

template Index square_order(const View<float>&, const char*);
template Index square_order(const View<double>&, const char*);
template void scale_by_power(Ops<float>&, Index, float*, int);
template void scale_by_power(Ops<double>&, Index, double*, int);
template Prepared prepare(Ops<float>&, Index, float*);
template Prepared prepare(Ops<double>&, Index, double*);
template void upload(Context&, Span<const double>, float*);
template void upload(Context&, Span<const double>, double*);

}  // namespace hso::detail
