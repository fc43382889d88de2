// SPDX-License-Identifier: Apache-2.0
//
// Dense linear algebra on symmetric matrices in device memory, the same on both backends.
//
// Policy: inputs are checked (finite), scaled by a power of two and symmetrised, (A + A') / 2, before anything is
// solved. Numerical outcomes are values: a `status`, never an exception. What failed is tried again in float64, then by
// another algorithm, and every detour is named in `fallbacks`. Work that would not fit is refused before it starts
// (MemoryError with the bytes needed, the bytes there and the n that would fit). Shapes that do not fit are
// InputErrors.
//
//   EighResult r = eigh(context, h.view().reshaped({n, n}));    // row i of h is now the eigenvector of r.values[i]
//   SpectrumSummary s = summarize_spectrum(r.values, n * eps);  // inertia, rank, condition
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso {

enum class LinalgStatus {
  ok,
  not_finite,             ///< an entry of the input, or of the result, is NaN or infinite
  not_positive_definite,  ///< Cholesky met a minor that is not positive
  singular,               ///< eigenvalues below the tolerance, and no pseudo-inverse was asked for
  failed                  ///< no algorithm converged
};
const char* name_of(LinalgStatus status);

// ---- eigendecomposition ----

enum class EigenRoute {
  automatic,  ///< the library, or the reduction for values alone where the library's limit or memory says so
  library,    ///< LAPACK or cuSOLVER
  reduction   ///< values alone: our own reduction to tridiagonal form, in place, with 64 n numbers of workspace
};

struct EighOptions {
  bool vectors = true;
  Index first = 0, last = -1;   ///< only these eigenvalues, counted in ascending order from 0; last < 0 means n - 1
  bool check_residual = false;  ///< measures `residual`; one product of n^2 count. All values alone: eigh always does
  double residual_limit = 30;   ///< a larger residual is a failure
  bool retry = true;            ///< keeps a copy of the matrix to try again from, and to put back when all fails
  EigenRoute route = EigenRoute::automatic;
};

struct EighResult {
  LinalgStatus status = LinalgStatus::ok;
  std::vector<double> values;  ///< ascending, `count` of them, on the host
  /// max |V A - L V| in units of n eps |A|; negative when it was not measured. Of all values without vectors: the first
  /// two moments against the matrix, the larger of |sum l - tr A| / (n^1.5 eps |A|_F) and
  /// |sum l^2 - |A|_F^2| / (2 n eps |A|_F^2), which a perturbation of c n eps |A|_F keeps below c.
  double residual = -1;
  std::vector<std::string> fallbacks{};  ///< empty when the first attempt was good

  bool ok() const { return status == LinalgStatus::ok; }
};

/// Eigenvalues and orthonormal eigenvectors of A [n][n]. Row i of A becomes the unit eigenvector of values[i]; without
/// `vectors` A is destroyed. On not_finite A is as it was; on failed it holds the symmetrised matrix (with `retry`).
template <class T>
EighResult eigh(Context& context, View<T> a, const EighOptions& options = {});

/// The same for each matrix of A [batch][n][n], `first` and `last` excepted.
template <class T>
std::vector<EighResult> eigh_batched(Context& context, View<T> a, const EighOptions& options = {});

/// Device bytes that eigh takes beside A.
template <class T>
Index eigh_bytes(Context& context, Index n, const EighOptions& options = {});

// ---- what eigenvalues say ----

struct Inertia {
  Index positive = 0, zero = 0, negative = 0;
  bool operator==(const Inertia&) const = default;
};

struct SpectrumSummary {
  Inertia inertia{};     ///< zero: |lambda| <= tolerance
  Index rank = 0;        ///< positive + negative
  double largest = 0;    ///< max |lambda|
  double tolerance = 0;  ///< relative_tolerance * largest
  double condition = 1;  ///< max |lambda| / min |lambda|, infinite when one is exactly 0
};
SpectrumSummary summarize_spectrum(Span<const double> values, double relative_tolerance);

/// n eps of T: the tolerance below which an eigenvalue of a dense solver is zero.
template <class T>
double spectrum_tolerance(Index n);

/// 20 eps of T: what rounding leaves of the residual of a Krylov method, whatever n is, where nothing was measured.
template <class T>
double krylov_tolerance();

/// out [n][n] = sum_i f[i] v_i v_i', from `count` = f.size() eigenvectors, the rows of v [count][n]. Symmetric to the
/// bit. out may not overlap v; takes count x n of scratch.
template <class T>
void from_spectrum(Context& context, Index n, const T* v, Span<const double> f, T* out);

// ---- Cholesky, solve, inverse ----

struct CholeskyResult {
  LinalgStatus status = LinalgStatus::ok;
  Index minor = 0;  ///< order of the first leading minor that is not positive, 0 when there is none
};

/// A = L L', L in the lower triangle of A; the rest is unspecified. Without success A is destroyed (as it was on
/// not_finite).
template <class T>
CholeskyResult cholesky(Context& context, View<T> a);

struct SolveReport {
  LinalgStatus status = LinalgStatus::ok;
  Index minor = 0;                       ///< of the first attempt: the minor that is not positive, or only by rounding
  double residual = 0;                   ///< the backward error (check_solution) in units of sqrt(n) eps
  std::vector<std::string> fallbacks{};  ///< "float64", "eigenvalues ..."
};

/// How well X solves A X = B, one right-hand side a row.
struct SolutionCheck {
  /// The largest |A x - b| / (|A| |x| + |b|) of all rows, 2-norms: the relative change of A and b that makes x exact
  /// (Rigal and Gaches, J. ACM 14 (1967) 543). |A| from below, by the power method.
  double backward_error = 0;
  double units = 0;      ///< the same in units of sqrt(n) eps
  bool accepted = true;  ///< at most 10 units: rounding errors that are independent explain it, whatever n is
};
/// A [n][n] symmetric, B and X [nrhs][n]; takes n^2 of scratch.
template <class T>
SolutionCheck check_solution(Context& context, View<const T> a, View<const T> b, View<const T> x);

/// B [nrhs][n], one right-hand side a row, becomes A^-1 B, accepted as check_solution does. Cholesky first, in float64
/// next, then eigenvalues (which also serve indefinite matrices). Symmetric A [n][n] is symmetrised and otherwise kept.
/// Without success B is kept.
template <class T>
SolveReport solve(Context& context, View<T> a, View<T> b);

enum class InverseRoute { automatic, cholesky, eigen };

struct InverseOptions {
  InverseRoute route = InverseRoute::automatic;  ///< automatic: Cholesky where it is safe, else eigenvalues
  bool pseudo = false;                           ///< invert the eigenvalues above the tolerance, leave the others 0
  double tolerance = 0;                          ///< relative to the largest |lambda|; 0 means n eps
};

struct InverseReport {
  LinalgStatus status = LinalgStatus::ok;
  InverseRoute route = InverseRoute::automatic;  ///< the one that made the result
  Inertia inertia{};                             ///< at the tolerance; by Cholesky only when the condition proves it
  Index rank = 0;
  double condition = 0;                  ///< of the eigenvalues; by Cholesky the bound |A|_F |A^-1|_F
  double residual = 0;                   ///< max |A A^-1 - I|; of a pseudo-inverse max |A A+ A - A| / max |A|
  double residual_units = 0;             ///< the same in units of n eps
  std::vector<std::string> fallbacks{};  ///< "eigenvalues ...", "float64 ..."
};

/// A [n][n] becomes its inverse. Without success A is kept, symmetrised.
template <class T>
InverseReport inverse(Context& context, View<T> a, const InverseOptions& options = {});

/// Device bytes that inverse takes beside A.
template <class T>
Index inverse_bytes(Context& context, Index n);

// ---- memory ----

/// Throws MemoryError when `bytes_of(n)` bytes are not there: "what: n = ... needs ... bytes, ... are free on ...; n up
/// to ... would fit". Scratch that the context already holds and does not use counts as free.
void require_memory(Context& context, const std::string& what, Index n, const std::function<Index(Index)>& bytes_of);

}  // namespace hso
