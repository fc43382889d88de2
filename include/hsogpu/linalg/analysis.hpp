// SPDX-License-Identifier: Apache-2.0
//
// One call for the spectrum of an operator: what it will take, and what there is to know. `hso spectrum` and
// `hso train --spectrum-every` are made of it.
//
//   const SpectrumPlan plan = plan_spectrum(*hessian, request);      bytes, products, seconds; the method that fits
//   const SpectrumAnalysis s = analyze_spectrum(*hessian, request);
//
// Symmetric operators only; require_consistent (operators.hpp) tests that.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/spectrum.hpp"

namespace hso {

enum class SpectrumMethod {
  automatic,  ///< dense up to n = 4096 where it fits, lanczos_slq above; with `near` lanczos, or dense where it is less
  dense,      ///< all eigenvalues
  lanczos,    ///< `count` of them at an end of the spectrum, or near `near`
  slq,        ///< density, trace, Frobenius norm from probes
  trace,      ///< from probes
  rank,       ///< with inertia: exact where the dense matrix fits, bounded otherwise
  lanczos_slq
};
/// auto, dense, lanczos, slq, trace, rank, lanczos+slq
const std::vector<std::string>& spectrum_method_names();
SpectrumMethod parse_spectrum_method(const std::string& name);  ///< UsageError lists the names
const std::string& name_of(SpectrumMethod method);

/// What a spectrum is asked for. Where it is planned or carried out, UsageError names a number out of its range: count
/// and block from 1, probes and steps from 2, max_products, most_steps and rank_at_most from 0, all up to 10^9 and
/// tolerance, near, damping and lower_bound finite, the tolerance not below 0.
struct SpectrumRequest {
  SpectrumMethod method = SpectrumMethod::automatic;
  Index count = 10;  ///< lanczos; at most n are looked for
  SpectrumEnd which = SpectrumEnd::largest;
  std::optional<double> near{};  ///< automatic, lanczos: eigenvalues nearest this number instead (eigenpairs_near)
  Index block = 1;
  double tolerance = 1e-8;  ///< lanczos: residual over the largest value
  Index max_products = 0;   ///< lanczos; rank where the matrix is not formed, whose basis it is [256, or 4 count]
  Index probes = 30;        ///< slq, trace
  Index steps = 80;         ///< slq
  /// slq with damping: Lanczos steps a probe may take so that the quadrature's error does not exceed the probes'
  /// spread; 0: eight times `steps`.
  Index most_steps = 0;
  TraceMethod trace_method = TraceMethod::automatic;
  /// Known beforehand: no eigenvalue is smaller. From 0 on the matrix is positive semidefinite.
  std::optional<double> lower_bound{};
  std::uint64_t seed = 0;
  bool vectors = false;             ///< dense, lanczos: keeps the eigenvectors
  Index rank_at_most = 0;           ///< rank: known beforehand from how the matrix is made; 0: n
  std::optional<double> damping{};  ///< dense, slq: asks for log det(A + damping I)
  /// Asked between products. What is known then is in the result; of a dense matrix, and of most traces, that is
  /// nothing.
  std::function<bool()> interrupted{};
  std::function<void(bool)> blocking{};  ///< around the eigendecomposition of a whole matrix: see InterruptScope
};

struct SpectrumPlan {
  SpectrumMethod method = SpectrumMethod::dense;  ///< never automatic
  Index bytes = 0;  ///< the allocator's high-water mark, what is allocated already included
  /// Vectors to be multiplied; 0: as many as it takes. Of slq with damping: when it takes all its steps.
  Index products = 0;
  Index lanes = 0;             ///< vectors in one product; 0: to be chosen
  Index basis = 0;             ///< vectors that lanczos holds; 0: to be chosen
  bool dense = false;          ///< the matrix is formed: dense, and rank where it fits
  bool dense_instead = false;  ///< automatic with `near`: it fits, and is taken where lanczos gives up
  /// lanczos, slq, trace, n up to 4096: lanczos ends at n products (1000 at least) then unless max_products says so
  bool dense_fits = false;
  bool retry = true;                         ///< dense: a copy of the matrix is kept to try again from
  EigenRoute route = EigenRoute::automatic;  ///< dense
  double product_seconds = 0;                ///< of one vector when `lanes` go together
  double solver_seconds = 0;                 ///< dense: of the eigendecomposition, extrapolated from a small one
  double seconds() const { return static_cast<double>(products) * product_seconds + solver_seconds; }
};
/// Multiplies `lanes` vectors twice to see what a product takes. MemoryError says what would fit when the method does
/// not.
template <class T>
SpectrumPlan plan_spectrum(LinearOperator<T>& a, const SpectrumRequest& request);

/// The same for to_dense alone: the matrix [n][n] is the caller's to allocate, and counted.
template <class T>
SpectrumPlan plan_matrix(LinearOperator<T>& a);
/// The same for `products` products (0: as many as it takes), `lanes` vectors at a time, with so many bytes beside
/// them.
template <class T>
SpectrumPlan plan_products(LinearOperator<T>& a, Index lanes, Index products, Index bytes);

/// Inertia at a tolerance: exact counts, or lower bounds from Ritz values (Cauchy's interlacing: a projection of A has
/// no more eigenvalues above t or below -t than A has).
struct RankResult {
  bool exact = false;
  bool meaningful = true;  ///< false: rounding of this precision is as large as the tolerance
  /// Below it a value is rounding: n eps |A| of a dense matrix; of Ritz values what rounding of the products was
  /// measured to do to them (EigenPairs::rounding), 20 eps |A| at least.
  double tolerance = 0;
  Inertia inertia;                  ///< exact; otherwise positive and negative are lower bounds and zero is 0
  Index at_least = 0, at_most = 0;  ///< of the rank
  std::optional<double> condition;  ///< exact: max |lambda| / min |lambda|
};

template <class T>
struct SpectrumAnalysis {
  SpectrumPlan plan;
  Index n = 0, products = 0;
  std::vector<double> eigenvalues;  ///< ascending
  /// Bounds of |A x - value x|; of dense values without vectors the solver's backward error n eps |A|, which the first
  /// two moments of the matrix have confirmed.
  std::vector<double> residuals;
  Buffer<T> vectors;      ///< [eigenvalues.size()][n] when asked for
  bool complete = false;  ///< eigenvalues are all n
  std::string stop;       ///< why it ended: "direct", "steps", "probes", "interrupted" or lanczos' reasons
  bool converged = true;
  std::optional<ExtremesCheck> extremes;  ///< of lanczos: whether eigenvalues are the extreme ones
  std::optional<RankResult> rank;
  std::optional<double> exact_trace, exact_frobenius_squared;
  std::optional<Estimate> trace, frobenius_squared;
  std::optional<double> exact_log_determinant;  ///< of A + damping I
  std::optional<Estimate> log_determinant;
  std::string log_determinant_missing;  ///< why neither is there although it was asked for; not converged then
  std::optional<DensityCurve> density;  ///< errors of 0 where it is exact
  std::vector<std::string> notes;       ///< detours, and what did not converge
};
/// With `plan` null the plan is made first; of one made by hand the method counts, and rank is exact only with `dense`.
/// NumericalError when a dense eigendecomposition fails; everything else that did not converge is in the result.
/// `preconditioner`: of A + damping I, for the log-determinant of slq, which takes probes of its own then
/// (plan_preconditioned).
template <class T>
SpectrumAnalysis<T> analyze_spectrum(LinearOperator<T>& a, const SpectrumRequest& request,
                                     const SpectrumPlan* plan = nullptr,
                                     const SpectralPreconditioner<T>* preconditioner = nullptr);

/// `plan` of the request, which asks for damping, with the probes of the preconditioned log-determinant on top.
template <class T>
SpectrumPlan plan_preconditioned(LinearOperator<T>& a, const SpectrumRequest& request, const SpectrumPlan& plan,
                                 const SpectralPreconditioner<T>& preconditioner);

}  // namespace hso
