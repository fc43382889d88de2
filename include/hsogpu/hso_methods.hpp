// SPDX-License-Identifier: Apache-2.0
//
// HVP-corrected gradients, and the epsilon-modified inverse (HSO) in every form. Options apart from state; every field
// is an option of that name.
#pragma once

#include "hsogpu/optimizer.hpp"

namespace hso {

/// HVP-corrected gradient: g~ = g + alpha H u, theta -= rate g~.
/// u = gradient: H g is half the gradient of |g|^2, so alpha > 0 penalises the gradient norm (flat minima, like SAM)
/// and alpha < 0 is the first Neumann term (I + alpha H) of an inverse, a step towards Newton's. The sign is the
/// user's.
struct HvpOptions {
  double rate = 0.1;
  double alpha = 0.01;
  std::string u = "gradient";  ///< "ones", "gradient", "velocity" (with momentum), "random" (+-1)
  double momentum = 0.9;       ///< of the velocity that is stepped along; 0 is plain descent
  std::string curvature = "hessian";
  std::uint64_t seed = 0;  ///< of u = random
};

/// The epsilon-modified inverse, dense: theta -= rate (phi(H)^-1 + eps I) g in the eigenbasis of H.
/// The order matters: damping and sign policy make phi(lambda), then eps is added to its inverse (it is not damping).
/// On a quadratic a full step is stable for eps < 1 / lambda_max, so eps is given in that unit and absolutely.
struct HsoOptions {
  double rate = 1;
  std::string curvature = "hessian";  ///< or "ggn", "finite_difference"
  /// phi(lambda) of an eigenvalue: raw lambda + delta | abs |lambda| + delta | clip max(lambda, 0) + delta |
  /// shift lambda - min(lambda_min, 0) + delta | truncate lambda where |lambda| is above the rank tolerance, plus delta
  /// with its sign, and no inverse (0) below it.
  std::string sign = "abs";
  double delta = 0.01;     ///< damping, in units of the curvature
  double eps = 0;          ///< absolute
  double eps_scale = 0.1;  ///< adds eps_scale / lambda_max, below 1; adapted
  bool adaptive = true;    ///< delta and eps follow the ratio of actual to predicted decrease
  double delta_min = 1e-12, delta_max = 1e6;
  double increase = 4, decrease = 4;  ///< factors of delta
  int max_trials = 12;                ///< on one eigendecomposition
  double rank_tolerance = 0;          ///< relative to the largest |lambda|; 0: n times the machine epsilon
  /// What bounds a step. "damping": delta, as above. "trust_region": |D s| <= a radius that follows the ratio of actual
  /// to predicted decrease; delta is then found from the radius by the secular equation in the eigenbasis (More and
  /// Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983) 553) and the option delta is not used.
  std::string control = "damping";
  double radius = 1;  ///< the first, in units of |D theta| (of 1 where that is 0)
  /// Units of theta, D = diag(d): "none" d = 1; "curvature" d_i^2 = the largest |A_ii| met so far (More, LNM 630 (1978)
  /// 105, section 5; an indefinite A is balanced by rows), which makes the steps independent of the units where A is
  /// semidefinite. The eigenvalues are then those of D^-1 A D^-1.
  std::string scaling = "none";
};

/// The same at any size: the `rank` eigenpairs of largest |lambda| by Lanczos, and eps on the rest,
/// theta -= rate (V' diag(1 / phi) V + eps I) g. Memory of O(rank n). eps_scale counts in units of 1 / (smallest kept
/// |lambda| + delta), where it is stable below 1.
struct HsoLowRankOptions {
  double rate = 1;
  std::string curvature = "hessian";
  int rank = 32;
  int refresh = 1;          ///< accepted steps that one set of pairs serves
  double tolerance = 1e-2;  ///< of the pairs' residuals over the largest |lambda|
  std::string sign = "abs";
  double delta = 0.01;
  double eps = 0, eps_scale = 0.5;
  bool adaptive = true;
  int max_trials = 12;
  std::uint64_t seed = 0;  ///< of Lanczos' start
};

/// Matrix-free: theta -= rate ((A + delta I)^-1 + eps I) g by conjugate gradients (Martens, ICML 2010). Eight vectors
/// of memory beside the network's. The damping grows where A + delta I is not positive definite.
struct HsoCgOptions {
  double rate = 1;
  std::string curvature = "ggn";
  int iterations = 50;      ///< of one solve, at most
  double tolerance = 1e-2;  ///< of its residual
  double delta = 0.01;
  double eps = 0;  ///< absolute: |A|, the unit of an eps_scale, is not known
  bool adaptive = true;
  int max_trials = 12;
};

/// In the Kronecker eigenbasis of K-FAC or EKFAC (kronecker.hpp), networks of linear and conv2d layers alone:
/// theta -= rate (1 / (lambda + delta) + eps) g. eps_scale counts in units of 1 / lambda_max.
struct HsoKroneckerOptions {
  double rate = 1;
  std::string curvature = "ggn";  ///< of the quadratic model that judges the step
  int refresh = 1;                ///< accepted steps that one set of factors serves
  bool rescale = true;            ///< to the minimum of the exact damped model along the step
  double delta = 0.01;
  double eps = 0, eps_scale = 0.1;
  bool adaptive = true;
  int max_trials = 12;
};

template <class T>
std::unique_ptr<Optimizer<T>> make_hvp(const HvpOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso(const HsoOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_lowrank(const HsoLowRankOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_cg(const HsoCgOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_kfac(const HsoKroneckerOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_ekfac(const HsoKroneckerOptions& options);

}  // namespace hso
