// SPDX-License-Identifier: Apache-2.0
//
// What every routine does before it solves: shape and finiteness, scaling, symmetry.
#pragma once

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"

namespace hso::detail {

/// n of a contiguous [n][n] view; InputError that starts with `what` otherwise.
template <class T>
Index square_order(const View<T>& a, const char* what);

struct Prepared {
  bool finite = true;
  double top = 0;    ///< max |A_ij| after scaling: in [1/2, 1), or 0
  int exponent = 0;  ///< the matrix that was given is 2^exponent times what is there now
};

/// Scales A by a power of two (exact, so neither huge nor tiny entries harm) and symmetrises it. A that is not finite
/// is left alone.
template <class T>
Prepared prepare(Ops<T>& ops, Index n, T* a);

/// x *= 2^exponent, in steps that neither overflow nor underflow on the way.
template <class T>
void scale_by_power(Ops<T>& ops, Index n, T* x, int exponent);

/// to[i] = from[i] in the other precision.
void convert(Context& context, Index n, const float* from, double* to);
void convert(Context& context, Index n, const double* from, float* to);
void convert(Context& context, Index n, const double* from, double* to);

/// Uploads numbers as T into device memory of the same length.
template <class T>
void upload(Context& context, Span<const double> host, T* device);

template <class T>
constexpr bool kIsFloat = sizeof(T) == 4;

struct Moments {
  double trace = 0, squares = 0;  ///< sum of eigenvalues and of their squares
};
template <class T>
Moments moments_of(Ops<T>& ops, Index n, const T* a);

/// True when eigh will not ask the library for these eigenvalues.
template <class T>
bool takes_reduction(Context& context, Index n, const EighOptions& options);

/// What eigh does once A is prepared. `original`: a copy of A to try again from, or null.
template <class T>
EighResult decompose(Context& context, Index n, T* a, const T* original, double top, const EighOptions& options);

}  // namespace hso::detail
