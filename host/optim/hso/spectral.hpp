// SPDX-License-Identifier: Apache-2.0
//
// The epsilon-modified inverse in the eigenbasis: numbers only, on the host. lambda -> b = 1 / phi(lambda) + eps.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/hso.hpp"

namespace hso::detail {

struct Spectrum {
  std::vector<double> values;  ///< ascending
  SpectrumSummary summary;
  double error = 0;                     ///< of the values, where the matrix itself is known to no more
  static constexpr double kClear = 10;  ///< rank tolerances: nothing that rounding makes of a zero
  double drift = 0;  ///< what the way left to the stationary point may change a value by: change_to_come
  /// The signs that the error allows to tell; what is within it counts as zero.
  Inertia inertia() const;
  /// Of the negative ones those within the drift: here they are negative, at the stationary point they may be zero.
  Index uncertain() const;
  bool has_negative() const { return !values.empty() && values.front() < -std::max(summary.tolerance, error); }
  /// Whatever rounding makes of the zeros.
  bool clearly_negative() const {
    return !values.empty() && values.front() < -std::max(kClear * summary.tolerance, error);
  }
  void visit_state(StateVisitor& state);
  double smallest_nonzero() const;  ///< min |lambda| above the tolerance, 0 when there is none
};

/// What the eigenvalues of the scaled Hessian D^-1 H D^-1 may change by on the way left to the stationary point:
/// 4 (|c| + rounding) / extent, c the part of V D^-1 g in eigenvectors of positive values, extent the larger of |D
/// theta| here and at the start, rounding that of c, 8 epsilon sqrt(2 |f|). Where f is constant along a curve x(t), as
/// along p -> t p, q -> q / t of a function of p q, two derivatives give x' H x' = -g x'': the curvature along the
/// curve is 0 at a minimum, and short of it up to |g| |x''| / |x'|^2 with either sign, which is about |g| / |x| where
/// x' = G x and x'' = G G x with a diagonal G. The 4 is for symmetries of a part of the variables. Such a g has no
/// component along the curve, hence the positive values: the slope that leads away from a saddle is no doubt about it.
/// An extent within rounding is no scale: without `rounding` then, and 0 of 0.
/// At least 10 times the rank tolerance: the sums that make the entries round more than the eigensolver does.
double change_to_come(const Spectrum& spectrum, const std::vector<double>& c, double extent, double value,
                      double epsilon);

/// One choice of policy, damping and eps applied to a spectrum.
struct ModifiedInverse {
  std::vector<double> inverse;  ///< 1 / phi, 0 where truncated
  double eps = 0;
  Index kept = 0;                            ///< entries that have an inverse
  double smallest_phi = 0, largest_phi = 0;  ///< |phi| over them
  bool singular = false;                     ///< some kept phi cannot be inverted
  double at(std::size_t i) const { return inverse[i] + eps; }
  Index rank() const;  ///< non-zero entries of 1 / phi + eps
};
ModifiedInverse modify_inverse(const Spectrum& spectrum, SignPolicy policy, double delta, double eps);

/// The step s = -rate (1 / phi + eps) c in the eigenbasis, c = V'g, and what the quadratic model says of it.
struct SpectralStep {
  std::vector<double> s;
  double slope = 0;               ///< g's: negative for a descent direction
  double predicted_decrease = 0;  ///< -(g's + s'Hs / 2), with the true H
  double length = 0;
};
SpectralStep spectral_step(const Spectrum& spectrum, const ModifiedInverse& inverse, const std::vector<double>& c,
                           double rate);

/// Where lambda_min is negative and the step ends inside the region: the step without what climbs, and along the
/// eigenvector of lambda_min up to the boundary, down the gradient's sign or, where the gradient has no part in it,
/// either way. This is the hard case of the trust region (More and Sorensen 1983; Nocedal and Wright 2006, section
/// 4.3). `abs` and `truncate` end inside more often: there only where the step gains less than 1e-4 of what the
/// eigenvector alone would gain, |lambda_min| radius^2 / 2. With a share of that at every step (Conn, Gould and Toint
/// 2000, section 6.6) a saddle or a maximum cannot hold the iteration. The step as it is where that gains more.
SpectralStep leave_saddle(const Spectrum& spectrum, SignPolicy policy, const std::vector<double>& c,
                          const SpectralStep& step, double radius);

/// The least delta with which no step is longer than the radius: |rate (1 / phi + eps) c| <= radius, to a tenth. phi is
/// kept above the rank tolerance; `raw` starts where lambda_min + delta is positive. rate eps |c| must stay below the
/// radius. A bounded number of halvings whatever the numbers.
double delta_of_radius(const Spectrum& spectrum, SignPolicy policy, double eps, const std::vector<double>& c,
                       double rate, double radius);

/// max |g_i| / sqrt(|A_ii|); where |A_ii| is below the rank tolerance, that much is taken.
double largest_slope(const std::vector<double>& diagonal, const std::vector<double>& g, double tolerance);
/// max |g_i| / sqrt(2 |f| |A_ii|), from max |g_i| / sqrt(|A_ii|): of least squares and the ggn the cosine between r and
/// column i of the Jacobian, the gradient test of MINPACK (More, LNM 630 (1978) 105).
double largest_cosine(double largest_slope, double value);
/// sqrt(c' |lambda|^-1 c / (2 |f|)). Where |lambda| is below the rank tolerance, that much curvature is taken, and the
/// largest cosine is the least.
double scaled_gradient(const Spectrum& spectrum, const std::vector<double>& c, double largest_slope, double value);
/// -c / |lambda|, with the same least curvature.
std::vector<double> undamped_step(const Spectrum& spectrum, const std::vector<double>& c);

/// The metrics of a dense step, in this order: lambda_min, lambda_max, n_positive, n_zero, n_negative, rank,
/// rank_modified, condition, condition_damped, inverse_residual. In float counts of near-zero eigenvalues say nothing
/// where rounding alone is as large as the tolerance, but signs are known where one value is clearly negative. Last,
/// where there are any: n_uncertain, of n_negative.
void describe_spectrum(StepReport& report, const Spectrum& spectrum, const ModifiedInverse& inverse, double residual,
                       bool in_double);
/// The first six of them, for a step that inverts nothing.
void describe_spectrum(StepReport& report, const Spectrum& spectrum, bool in_double);
std::string singular_message(const Spectrum& spectrum, const ModifiedInverse& inverse, SignPolicy sign, double delta,
                             bool in_double);

}  // namespace hso::detail
