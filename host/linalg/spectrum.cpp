// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "linalg/prepare.hpp"

namespace hso {

const char* name_of(LinalgStatus status) {
  switch (status) {
    case LinalgStatus::ok:
      return "ok";
    case LinalgStatus::not_finite:
      return "not_finite";
    case LinalgStatus::not_positive_definite:
      return "not_positive_definite";
    case LinalgStatus::singular:
      return "singular";
    case LinalgStatus::failed:
      return "failed";
  }
  return "unknown";
}

SpectrumSummary summarize_spectrum(Span<const double> values, double relative_tolerance) {
  SpectrumSummary s;
  double smallest = std::numeric_limits<double>::infinity();
  for (double v : values) {
    s.largest = std::max(s.largest, std::abs(v));
    smallest = std::min(smallest, std::abs(v));
  }
  s.tolerance = relative_tolerance * s.largest;
  for (double v : values)
    ++(std::abs(v) <= s.tolerance ? s.inertia.zero : v > 0 ? s.inertia.positive : s.inertia.negative);
  s.rank = s.inertia.positive + s.inertia.negative;
  if (!values.empty()) s.condition = smallest > 0 ? s.largest / smallest : std::numeric_limits<double>::infinity();
  return s;
}

template <class T>
double spectrum_tolerance(Index n) {
  return static_cast<double>(n) * static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <class T>
double krylov_tolerance() {
  return 20 * static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <class T>
void from_spectrum(Context& context, Index n, const T* v, Span<const double> f, T* out) {
  const auto count = static_cast<Index>(f.size());
  auto& ops = context.ops<T>();
  detail::Scratch scratch(context);
  T* diagonal = scratch.take<T>(count);
  T* scaled = scratch.take<T>(checked_multiply(count, n));
  detail::upload(context, f, diagonal);
  ops.for_each(count, n, detail::ScaleRows<T>{diagonal, v, scaled, n});
  ops.gemm({.m = n,
            .n = n,
            .k = count,
            .a = v,
            .lda = n,
            .trans_a = true,
            .b = scaled,
            .ldb = n,
            .trans_b = false,
            .c = out,
            .ldc = n});
  ops.for_each(n, n, detail::Symmetrize<T>{out, n});
}

template double spectrum_tolerance<float>(Index);
template double spectrum_tolerance<double>(Index);
template double krylov_tolerance<float>();
template double krylov_tolerance<double>();
template void from_spectrum(Context&, Index, const float*, Span<const double>, float*);
template void from_spectrum(Context&, Index, const double*, Span<const double>, double*);

}  // namespace hso
