// SPDX-License-Identifier: Apache-2.0
//
// Spectra of operators that are known by their products: eigenpairs with residuals, densities and traces with error
// bars. Symmetric operators only; require_consistent (operators.hpp) tests that.
//
//   EigenPairs<T> top = lanczos(*hessian, {.count = 10});
//   SpectralDensity density = spectral_density(*hessian, {.probes = 30, .steps = 80, .seed = 1});
//   Estimate trace = density.trace();                       value, standard error, 99 % interval
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hsogpu/linalg/operators.hpp"

namespace hso {

struct SpectralDensity;

// ---- numbers with error bars ----

/// A number from random probes. [low, high] covers all three errors: the probes' spread, the quadrature, rounding.
struct Estimate {
  double value = 0;
  double standard_error = 0;  ///< of the probes alone
  double low = 0, high = 0;
  double confidence = 0.99;
  Index probes = 0;
  std::uint64_t seed = 0;
  /// How far the quadrature of the probes may lie from v'f(A)v, on their average; 0 where there is no quadrature.
  double quadrature_error = 0;
  bool quadrature_bounded = true;  ///< a bound; otherwise the difference to half as many steps
  double rounding_error = 0;       ///< of this precision, at most
};
/// The mean of independent samples. The interval is 1.15 times the smallest one that holds Student's t and its form for
/// skewed samples, the third moment removed by a cubic transformation (Hall, J. R. Statist. Soc. B 54 (1992) 221): a
/// few large eigenvalues make z'Az skewed, and t alone too short above. The factor is what a matrix of rank one needs
/// with normal z, and grows from 1.2 to 4.1 from 12 samples to 2. InputError for fewer than two samples: they have no
/// error bar.
Estimate mean_of(Span<const double> samples, std::uint64_t seed, double confidence = 0.99);
/// The number that |t| exceeds with probability 1 - confidence, t Student's with `dof` degrees of freedom.
double student_t(double confidence, double dof);

// ---- eigenpairs ----

enum class SpectrumEnd {
  largest,   ///< algebraically
  smallest,  ///< algebraically
  both,      ///< count / 2 smallest, the rest largest
  magnitude  ///< largest in size
};
const std::vector<std::string>& spectrum_end_names();
SpectrumEnd parse_spectrum_end(const std::string& name);  ///< UsageError lists the names

struct LanczosOptions {
  Index count = 10;
  SpectrumEnd which = SpectrumEnd::largest;
  Index block = 1;  ///< vectors multiplied at once, to begin with
  /// Vectors held before a restart; 0: as many as half the free memory holds, at most max(4 (count + block), 256).
  Index basis = 0;
  Index max_products = 0;    ///< vectors multiplied; 0: 20 n, at least 1000
  double tolerance = 1e-8;   ///< of the residual over the largest |value| seen; rounding sets a floor of 20 eps
  double confidence = 0.99;  ///< with which more extreme values are to be excluded; 0: they are not looked for
  /// No eigenvalue lies below, known beforehand: 0 of a semidefinite matrix. Without `vectors` the smallest values have
  /// converged where they reach it, since eigenvalues lie between it and them; what is left of the distance is their
  /// residual then.
  std::optional<double> lower_bound{};
  std::uint64_t seed = 0;
  bool vectors = true;
  std::function<bool()> interrupted{};  ///< asked once a block step
};

/// Whether the values found are the extreme ones, copies of multiple eigenvalues included. Values within the tolerance
/// of each other count as equal.
struct ExtremesCheck {
  bool confirmed = false;  ///< none is missing, with `confidence`
  /// Were one missing, a search from a random vector would have hidden it with probability 1 - confidence at most. 1:
  /// the whole space was spanned, or values reached the lower bound. 0: there was no search.
  double confidence = 0;
  /// With that confidence no eigenvalue but those found lies outside [below, above]. Infinite: nothing is known, or
  /// nothing was asked for at that end.
  double below = -std::numeric_limits<double>::infinity(), above = std::numeric_limits<double>::infinity();
  Index products = 0;  ///< of the last search, which had the last word
};

/// Ritz pairs. `residuals[i]` bounds the distance from values[i] to an eigenvalue of A.
template <class T>
struct EigenPairs {
  std::vector<double> values;     ///< ascending
  std::vector<double> residuals;  ///< |A x - value x|, from the recurrence; see lower_bound
  Buffer<T> vectors;              ///< [count][n], row i of values[i]; empty without `vectors`
  Index converged = 0;            ///< how many of them are within the tolerance
  Index products = 0, restarts = 0, basis = 0;
  double scale = 0;  ///< largest |Ritz value| seen: a lower bound of |A|
  /// What rounding of the products may do to a value: twice the root of the basis times the root mean square of those
  /// coefficients v_i'A v_j that are zero in exact arithmetic, the norm of a random symmetric matrix of such entries.
  double rounding = 0;
  ExtremesCheck extremes;
  /// "converged" (residuals; `extremes` says of what), "complete" (the whole space was spanned: exact), "max_products",
  /// "interrupted" or "not_finite"; of eigenpairs_near also "basis_full", "too_dense" and "inexact", explained there
  std::string stop;
  bool all_converged() const { return stop == "converged" || stop == "complete"; }
};

/// Block Lanczos with full reorthogonalisation in two passes and thick restarts (Wu and Simon, SIAM J. Matrix Anal. 22
/// (2000) 602). One starting vector meets an eigenspace of any dimension in one direction, so pairs that have converged
/// need not be the extreme ones. They are followed by a search: Lanczos from a random vector orthogonal to them. What
/// it finds is added, with wider blocks, until it finds nothing; its coefficients then bound the probability that
/// something was missed (van Dorsselaer, Hochstenbach and van der Vorst, SIAM J. Matrix Anal. 22 (2000) 837). A search
/// takes at most 32 products or twice those before it, and stops at n altogether; from n products on a dense matrix is
/// cheaper. `extremes` says what is known then. InputError when count exceeds n or block exceeds basis.
template <class T>
EigenPairs<T> lanczos(LinearOperator<T>& a, const LanczosOptions& options = {});

/// Eigenpairs nearest a number, an eigenvalue itself included: Lanczos in one Krylov space without restarts. That space
/// holds every polynomial of A applied to the start, so no filter and no inner solver takes fewer products; it takes
/// memory, a basis of at most 2048 vectors or half the free memory. Where that is full, Lanczos goes on with a
/// polynomial filter (Chebyshev series of the delta function with Jackson's damping: Li, Xi, Erlandson and Saad, SIAM
/// J. Sci. Comput. 41 (2019) C393). `which` and lower_bound are ignored, max_products 0 is n, from where on the dense
/// matrix is cheaper. Christoffel's function at the number foretells from n / 8 products on (n above 512) how many it
/// will take: where that is more than n / 2, whose orthogonalisation costs as much as a dense solver, or the filter
/// would need more than max_products, it ends with `stop` "too_dense". Other ends are "basis_full" (block above 1) and
/// "inexact" (of the filter: a residual measured with A is above the tolerance). `extremes` says whether nearer values
/// may be missing, copies of multiple ones above all; `above` and `below` are the number itself where nothing is known.
template <class T>
EigenPairs<T> eigenpairs_near(LinearOperator<T>& a, double number, const LanczosOptions& options = {});

/// The power method on a random unit vector v: |A v| grows towards |A|, the largest |eigenvalue|. A relative growth
/// below `tolerance` stops it.
struct PowerResult {
  double norm = 0;      ///< |A v|, a lower bound of |A|; not finite when a product was not
  double value = 0;     ///< v'Av: with two eigenvalues of that size and opposite signs it means nothing
  double residual = 0;  ///< |A v - value v|
  Index products = 0;
  bool converged = false;
};
template <class T>
PowerResult power_iteration(LinearOperator<T>& a, double tolerance = 1e-3, Index max_products = 1000,
                            std::uint64_t seed = 0);

// ---- density and functions of the matrix ----

struct DensityOptions {
  Index probes = 30;
  Index steps = 80;  ///< Lanczos steps of a probe, 2 at least; a probe ends where its space is exhausted
  std::uint64_t seed = 0;
  double confidence = 0.99;
  std::optional<double> lower_bound{};  ///< known beforehand: no eigenvalue is smaller (0: positive semidefinite)
  /// Asked after `steps` steps, with what there is then; as long as it says no everything is done again with twice as
  /// many, up to most_steps. Unset: never.
  std::function<bool(const SpectralDensity&)> enough{};
  Index most_steps = 0;
  Index lanes = 0;  ///< probes at once; 0: what one traversal of the operator carries, in half the free memory
  /// Keeps all `steps` vectors of a probe and orthogonalises against them, in two passes. Without it the three-term
  /// recurrence needs three: the quadrature stays good, since copies of an eigenvalue that rounding makes share its
  /// weight (Greenbaum, Linear Algebra Appl. 113 (1989) 7).
  bool reorthogonalize = false;
  std::function<bool()> interrupted{};  ///< asked once a step of the probes; see `stop`
};

/// What is known of f on an interval that holds the spectrum: the signs (-1, 1; 0: nothing) of its derivatives of every
/// even order from 2 and of every odd order from 3 on. They make Gauss and Gauss-Radau rules bounds of v'f(A)v (Golub
/// and Meurant, Matrices, Moments and Quadrature, Princeton 2010, theorems 6.4 and 6.5): log -1, 1; 1/x 1, -1; exp
/// 1, 1.
struct DerivativeSigns {
  int even = 0, odd = 0;
};

/// Stochastic Lanczos quadrature: probe p says tr f(A) ~ n sum_i weights[p][i] f(nodes[p][i]) (Ubaru, Chen and Saad,
/// SIAM J. Matrix Anal. 38 (2017) 1075, eq. 14). The probes are independent, so their spread is one error; that of the
/// quadrature is bounded, or estimated, probe by probe and added.
struct SpectralDensity {
  Index n = 0;
  std::vector<std::vector<double>> nodes, weights;            ///< of each probe: its Gauss rule
  std::vector<std::vector<double>> diagonals, off_diagonals;  ///< Lanczos' tridiagonal matrix of each
  std::vector<bool> exhausted;                                ///< its space was: the rule is exact
  std::uint64_t seed = 0;
  double confidence = 0.99;
  std::optional<double> lower_bound;  ///< known beforehand
  double epsilon = 0;                 ///< of the precision the products were made in
  Index steps = 0;
  Index products = 0;  ///< vectors multiplied
  /// "steps" or "not_finite"; "interrupted": what there is comes from the probes that were complete, or from the steps
  /// that the first ones took, and may be no probe at all.
  std::string stop;

  /// tr f(A). With signs the interval holds the error of the quadrature: the value is the mean of a Gauss rule and of a
  /// Gauss-Radau rule with an end of the spectrum for a node. Where f is not finite at that end, or the end is not
  /// known, the Gauss rule bounds one side, and the other side of the interval is infinite. Without signs the
  /// difference to the rules of half the steps is added, which is no bound. Rounding moves nodes by at most 20 eps |A|.
  Estimate trace_of(const std::function<double(double)>& f, DerivativeSigns signs = {}) const;
  Estimate trace() const;
  Estimate frobenius_squared() const;  ///< sum lambda^2
  /// log det(A + delta I), bounded by the signs of the logarithm. InputError when a node is at or below -delta, or
  /// within rounding of it (with lower_bound: when that is).
  Estimate log_determinant(double delta) const;
  /// How many eigenvalues exceed the threshold. The interval holds the quadrature's error, by the inequalities of
  /// Chebyshev, Markov and Stieltjes for the rules that have the threshold for a node (Chen, Trogdon and Ubaru, ICML
  /// 2021); eigenvalues within rounding of the threshold count as either.
  Estimate count_above(double threshold) const;
  double smallest() const;
  double largest() const;  ///< of the nodes
  /// A number that no eigenvalue is below: lower_bound, or one that is wrong with a probability of at most
  /// (1 - confidence) / 100 where eigenvectors have normally distributed components along the probes, from the largest
  /// mass that the probes' moments leave to an eigenvalue there. None where the steps are too few to say.
  std::optional<double> lower_end() const;
  std::optional<double> upper_end() const;  ///< that none is above
};

/// Probes are Rademacher vectors over sqrt(n), fewer than 30 of them uniform on the unit sphere (see trace).
template <class T>
SpectralDensity spectral_density(LinearOperator<T>& a, const DensityOptions& options = {});

/// The density on a grid, convolved with a Gaussian of standard deviation sigma (Ghorbani, Krishnan and Xiao, ICML
/// 2019, eq. 4): mean over the probes and its standard error. Integrates to 1 over the real line. quadrature_error
/// bounds what the rules add at any x: twice the error of the best approximation of the Gaussian by polynomials of
/// degree 2 steps - 1 on the spectrum.
struct DensityCurve {
  std::vector<double> x, value, standard_error;
  double quadrature_error = 0;
  double sigma = 0;
};
/// `sigma` 0 takes 1/100 of the range.
DensityCurve density_curve(const SpectralDensity& density, Index points = 512, double sigma = 0);
/// Of all eigenvalues, known exactly: both errors are 0.
DensityCurve density_curve(Span<const double> eigenvalues, Index points = 512, double sigma = 0);

// ---- preconditioned log-determinants ----

/// P ~ A + delta I, symmetric positive definite, by what a log-determinant needs of it.
template <class T>
struct SpectralPreconditioner {
  std::unique_ptr<LinearOperator<T>> inverse_root;  ///< P^-1/2, symmetric
  double log_determinant = 0;
  double smallest = 0, largest = 0;  ///< of P's eigenvalues
};
/// P^-1/2 (A + delta I) P^-1/2. Keeps references to A and P. log det(A + delta I) = log det P + tr log of it (Wenger,
/// Pleiss, Hennig, Cunningham and Gardner, ICML 2022, section 3): the better P, the nearer to the identity, the fewer
/// Lanczos steps and the less spread.
template <class T>
class PreconditionedOperator final : public LinearOperator<T> {
 public:
  PreconditionedOperator(LinearOperator<T>& a, double delta, const SpectralPreconditioner<T>& p)
      : a_(a), p_(p), delta_(delta) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  LinearOperator<T>& a_;
  const SpectralPreconditioner<T>& p_;
  double delta_;
};

/// From the density of that operator: log det(A + delta I). Rounding of A's products, which P^-1/2 enlarges, counts
/// sqrt(largest / smallest) times.
template <class T>
Estimate log_determinant(const SpectralDensity& preconditioned, const SpectralPreconditioner<T>& p);

// ---- trace ----

enum class TraceMethod {
  automatic,  ///< xnystrace of a positive semidefinite A with 5 to 128 products, hutchinson otherwise
  hutchinson,
  hutch_plus_plus,
  xtrace,
  xnystrace
};
/// auto, hutchinson, hutch_plus_plus, xtrace, xnystrace
const std::vector<std::string>& trace_method_names();
TraceMethod parse_trace_method(const std::string& name);  ///< UsageError lists the names

struct TraceOptions {
  TraceMethod method = TraceMethod::automatic;
  /// Vectors multiplied at most, at least 2, 6, 4 and 5 of the four methods; hutch_plus_plus uses a third for each of
  /// its parts, xtrace half, xnystrace n / 2 at most. From n on any method multiplies the n unit vectors instead: the
  /// trace is exact but for rounding.
  Index products = 90;
  std::uint64_t seed = 0;
  double confidence = 0.99;
  bool positive_semidefinite = false;  ///< known beforehand
  /// hutchinson: asked after every few products; the trace is that of the probes until then. With fewer than two of
  /// them, and in the middle of the other methods, trace() throws Interrupted (interrupt.hpp).
  std::function<bool()> interrupted{};
};
/// What `automatic` stands for.
TraceMethod resolved(const TraceOptions& options);

/// What was done.
struct TraceRun {
  /// Not the one asked for where xnystrace left it to another: to hutchinson where n is below 10, to xtrace where the
  /// matrix was seen not to be positive semidefinite, or rounding did not let it be seen.
  TraceMethod method = TraceMethod::automatic;
  Index products = 0;
  bool exact = false;  ///< from the n unit vectors, by no method
};

/// tr A. hutchinson: the mean of z'Az (Hutchinson 1990) over Rademacher probes; fewer than 30 of them are uniform on
/// the sphere of radius sqrt(n): forms of a sparse matrix with a few vectors of signs may all be equal though their
/// mean is wrong. hutch_plus_plus: the same on the complement of a sketched range (Meyer, Musco, Musco and Woodruff,
/// SOSA 2021, algorithm 1); its error bar is that of the second part. xtrace and xnystrace: the mean of k leave-one-out
/// estimates (Epperly, Tropp and Webber, SIAM J. Matrix Anal. 45 (2024) 1, algorithms of sections 2 and 3.2), xnystrace
/// from Nystrom approximations, of positive semidefinite A alone, else xtrace takes its place with as many products
/// again. NumericalError when a product is not finite. Their k estimates depend on each other, so their spread says too
/// little: the standard error is the jackknife's, sqrt(sum_l (t_l - mean)^2) over the estimates t_l without probe l,
/// whose square is at least the variance on average (Efron and Stein, Ann. Statist. 9 (1981) 586), with k - 1 degrees
/// of freedom. Where a sketch took in the whole range the standard error is 0. Rounding: 10 eps sqrt(n) |A|_F.
template <class T>
Estimate trace(LinearOperator<T>& a, const TraceOptions& options = {}, TraceRun* run = nullptr);

struct DiagonalOptions {
  Index probes = 30;
  std::uint64_t seed = 0;
};
struct DiagonalEstimate {
  std::vector<double> values, standard_errors;  ///< of each entry
  Index probes = 0;
  std::uint64_t seed = 0;
};
/// diag A = E z o (A z) over Rademacher probes z, o the product entry by entry (Bekas, Kokiopoulou and Saad, Appl.
/// Numer. Math. 57 (2007) 1214). No intervals, standard errors alone. Entry i has variance sum_{j != i} A_ij^2 over the
/// number of probes. InputError for fewer than two probes.
template <class T>
DiagonalEstimate diagonal(LinearOperator<T>& a, const DiagonalOptions& options = {});

/// |A|_F^2 = E |A z|^2 over the probes of hutchinson; from n probes on of the n unit vectors, exact but for rounding.
template <class T>
Estimate frobenius_squared(LinearOperator<T>& a, Index probes = 30, std::uint64_t seed = 0, double confidence = 0.99);

}  // namespace hso
