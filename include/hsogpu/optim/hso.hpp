// SPDX-License-Identifier: Apache-2.0
//
// HVP-corrected gradients, and the epsilon-modified inverse (HSO) in every form. Options apart from state; every field
// is an option of that name.
#pragma once

#include "hsogpu/optim/optimizer.hpp"

namespace hso {

/// phi(lambda) of an eigenvalue, see HsoOptions::sign.
enum class SignPolicy { raw, abs, clip, shift, truncate };
/// What bounds a step.
enum class StepControl { damping, trust_region };
/// Units of theta.
enum class VariableScaling { none, curvature };
/// The vector u of HVP-corrected gradients: `velocity` needs momentum, `random` is +-1.
enum class HvpProbe { ones, gradient, velocity, random };
enum class LanczosStart { gradient, random };
enum class Preconditioning { none, lbfgs, diagonal, kfac };
enum class Factors { automatic, ggn, fisher_mc, fisher_empirical };
enum class FactorDamping { automatic, joint, factored };
enum class HessianBlocks { layer, parameter };
enum class RankOneKind { outer, sr1 };

/// HVP-corrected gradient: g~ = g + alpha H u, theta -= rate g~.
/// u = gradient: H g is half the gradient of |g|^2, so alpha > 0 penalises the gradient norm (flat minima, like SAM)
/// and alpha < 0 is the first Neumann term (I + alpha H) of an inverse, a step towards Newton's. The sign is the
/// user's.
/// `adaptive`: |alpha| = t / (2 |c|), c = u'Hu / u'u, with t in (0, 1] and `alpha` as the first step's value (t = 1
/// where it is larger). t = 1 is the end of the Neumann reading: with the step length 1 / c two terms of the series
/// H^-1 = 1/c sum (I - H / c)^k are 2/c (I - H / 2c). t doubles after a step whose decrease is above 3/4 of what the
/// quadratic model predicts, -(g's + s'Hs / 2), and is quartered below 1/4; the sign never changes. Costs one product
/// and one value more; where u'Hu is 0 alpha stays.
struct HvpOptions {
  double rate = 0.1;
  double alpha = 0.01;
  HvpProbe u = HvpProbe::gradient;
  double momentum = 0.9;  ///< of the velocity that is stepped along; 0 is plain descent
  Curvature curvature = Curvature::hessian;
  bool adaptive = false;   ///< |alpha| follows the curvature along u and actual / predicted decrease
  std::uint64_t seed = 0;  ///< of u = random
};

/// The epsilon-modified inverse, dense: theta -= rate (phi(H)^-1 + eps I) g in the eigenbasis of H.
/// The order matters: damping and sign policy make phi(lambda), then eps is added to its inverse (it is not damping).
/// On a quadratic a full step is stable for eps < 1 / lambda_max, so eps is given in that unit and absolutely.
/// The report has the signs of the eigenvalues, n_positive, n_zero and n_negative, zero being within the rank tolerance
/// or the error of a differenced matrix, and n_uncertain where some are negative by no more than the way left to a
/// stationary point close by may change them. Of a step that lowers nothing it also has largest_cosine, max |g_i| /
/// sqrt(2 |f| |A_ii|), and relative_step, max |s_i| / |theta_i| of the step without damping.
struct HsoOptions {
  double rate = 1;
  Curvature curvature = Curvature::hessian;  ///< or ggn, finite_difference
  /// phi(lambda) of an eigenvalue: raw lambda + delta | abs |lambda| + delta | clip max(lambda, 0) + delta |
  /// shift lambda - min(lambda_min, 0) + delta | truncate lambda where |lambda| is above the rank tolerance, plus delta
  /// with its sign, and no inverse (0) below it.
  SignPolicy sign = SignPolicy::abs;
  double delta = 0.01;     ///< damping, in units of the curvature
  double eps = 0;          ///< absolute
  double eps_scale = 0.1;  ///< adds eps_scale / lambda_max, below 1; adapted
  bool adaptive = true;    ///< delta and eps follow the ratio of actual to predicted decrease
  double delta_min = 1e-12, delta_max = 1e6;
  double increase = 4, decrease = 4;  ///< factors of delta
  int max_trials = 12;                ///< on one eigendecomposition
  double rank_tolerance = 0;          ///< relative to the largest |lambda|; 0: n times the machine epsilon
  /// What bounds a step. damping: delta, as above. trust_region: |D s| <= a radius that follows the ratio of actual
  /// to predicted decrease; delta is then found from the radius by the secular equation in the eigenbasis (More and
  /// Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983) 553) and the option delta is not used. Where the Hessian has a
  /// negative eigenvalue and the step ends inside the region, their hard case, it goes on along the lowest eigenvector
  /// to the boundary, from a point with gradient zero too: no saddle or maximum holds it (with sign = abs or truncate,
  /// which end inside more often, where the step gains less than 1e-4 of what that eigenvector would).
  StepControl control = StepControl::damping;
  /// The first, in units of |D theta| (of 1 where its square is 0), or of the length along which the slope or the
  /// lowest eigenvalue alone changes f by a hundredth, where that is longer: a start near 0.
  double radius = 1;
  /// Units of theta, D = diag(d): none d = 1; curvature d_i^2 = the largest |A_ii| met so far (More, LNM 630 (1978)
  /// 105, section 5; an indefinite A is balanced by rows), which makes the steps independent of the units where A is
  /// semidefinite. The eigenvalues are then those of D^-1 A D^-1.
  VariableScaling scaling = VariableScaling::none;
};

/// The same at any size, from `rank` Ritz pairs of A by Lanczos: with rows V [rank][n], P = I - V'V and eps_P =
/// eps_scale / (bound of |lambda| on the rest + delta), theta -= rate (V' diag(1 / phi) V + eps I + eps_P P) g. Memory
/// of (steps + 15) n numbers beside the network's.
///   start = gradient  the Krylov space of g, `steps` products (0: rank, which keeps all pairs): the saddle-free Newton
///   step
///                     of that space (Dauphin et al., NIPS 2014, section 6), as good as `steps` iterations of conjugate
///                     gradients where A is positive. g has no rest; later gradients, until the next refresh, do. The
///                     bound is the largest |Ritz value|.
///   start = random    the top pairs, up to `steps` products (0: 4 rank + 20) until their residuals are within
///                     `tolerance` of the largest |lambda|: eigenvectors that serve any gradient. The bound is the
///                     smallest kept |lambda|.
/// `subspace`: the damped quadratic model chooses the lengths of the two parts, kept and rest, where the rest holds
/// more than 1e-3 of g and the model is convex on the two, for two products more; and then the lengths of the whole
/// step and of the last displacement, which stands for momentum (Martens and Grosse 2015, section 7), for one more.
/// `judged = false`: no product and no value judge a step, it is taken as it is with fixed damping, for one gradient
/// and 3 rank n multiply-adds where no refresh is due: for mini-batches, with start = random and a small curvature
/// batch. Then `subspace` does nothing.
struct HsoLowRankOptions {
  double rate = 1;
  Curvature curvature = Curvature::ggn;
  int rank = 0;             ///< 0: 8, or n where n is smaller; above n: UsageError
  int steps = 0;            ///< Lanczos vectors held, at least rank
  int refresh = 1;          ///< accepted steps that one set of pairs serves
  double tolerance = 1e-2;  ///< start = random: of the pairs' residuals over the largest |lambda|
  LanczosStart start = LanczosStart::gradient;
  bool subspace = true;
  bool judged = true;
  SignPolicy sign = SignPolicy::abs;
  double delta = 0.01;
  double eps = 0, eps_scale = 0.5;
  bool adaptive = true;
  int max_trials = 12;
  std::uint64_t seed = 0;  ///< of start = random
};

/// Matrix-free: theta -= rate ((A + delta I)^-1 + eps I) g by conjugate gradients, the Hessian-free method of Martens
/// (ICML 2010) with short solves, each preconditioned by the inverse of limited-memory BFGS that the search directions
/// of the solves before and their products make (Morales and Nocedal, SIAM J. Optim. 10 (2000) 1079). A solve ends when
/// another step gains more for its cost: when each of its last 1 + i/4 iterations gained less than `progress` of
/// -phi_i / (i + 2), phi_i being the model's value after i. What does not lower the loss is halved before the damping
/// is raised. With `warm_start` and `backtrack` solves start from the last solution and are walked back through their
/// iterates while the loss falls (Martens' sections 4.5 and 4.6).
/// Memory beside the network's: 10 + backtrack vectors of n numbers, one more with a preconditioner; of lbfgs 3 memory
/// beside, and a copy of them where a trainer keeps the state before a step.
///   damping        delta by the ratio of actual to predicted decrease; it also grows where A + delta I is not positive
///                  definite
///   trust_region   delta = 0 and |step| <= radius, truncated solves (Steihaug 1983; Nocedal and Wright 2006, algorithm
///                  7.2), radius by the ratio (algorithm 4.1); negative curvature is followed to the boundary. Solves
///                  start at 0 and nothing is walked back. The norm is the preconditioner's inverse's; the eps term is
///                  added outside it.
struct HsoCgOptions {
  double rate = 1;
  Curvature curvature = Curvature::ggn;
  StepControl globalization = StepControl::damping;
  int iterations = 250;     ///< of one solve, at most
  double progress = 0.5;    ///< as above; 0: the progress of a solve never ends it
  double tolerance = 1e-8;  ///< of its residual
  double warm_start = 0;    ///< share of the last solution that a solve starts from; 0: starts at 0
  int backtrack = 0;        ///< iterates kept, 0 or above
  int line_search = 8;      ///< halvings of the step
  /// none, lbfgs, or of a network diagonal: (D + delta)^-0.75 with the exact diagonal D, or kfac: (K + delta I)^-1
  Preconditioning preconditioner = Preconditioning::lbfgs;
  int memory = 10;  ///< pairs of lbfgs
  int refresh = 1;  ///< accepted steps that one preconditioner of a network serves
  double delta = 0.01;
  double eps = 0;
  double eps_scale = 0;  ///< in units of 1 / (largest p'Ap / p'p met by the solve), which bounds 1 / lambda_max above
  bool adaptive = true;
  double delta_min = 1e-20;
  double increase = 4, decrease = 4;  ///< factors of delta
  double radius = 1, radius_max = 1e6;
  int max_trials = 12;
};

/// In the Kronecker eigenbasis of K-FAC or EKFAC (kronecker.hpp), networks of products with the data alone:
/// theta -= rate (1 / (lambda + delta) + eps) g. eps_scale counts in units of 1 / lambda_max, or of a bound of it.
///   damping = joint     delta is added to the products of the factors' eigenvalues: one eigendecomposition each
///   damping = factored  pi sqrt(delta) and sqrt(delta) / pi are added to the factors (Martens and Grosse, ICML 2015,
///                       section 6.3): one Cholesky inverse each; hso.kfac alone
/// Factors come with the gradient, every factor_every steps, and are averaged with weights min(1 - 1/k, decay) at the
/// k-th (section 5); inverses follow every `refresh` accepted steps, or when the damping was raised. On a curvature
/// batch (SubsampledCurvature) factors and products are of its rows (section 8's smaller batches). Of an objective that
/// has layers and shows no network, its own Kronecker operator is taken at every refresh: exact factors, joint damping,
/// no averages; `factors` and `damping` that ask for another are refused.
///   judged      the exact damped model chooses the lengths of the step and, with `subspace`, of the last displacement
///               (sections 6.4 and 7), and the value judges it: about five gradients a step. For whole or large batches
///   otherwise   rate and momentum are taken as they are, v = momentum v + nu d, with fixed damping: a gradient and the
///               factors' share, for mini-batches. nu = min(1, sqrt(kl_clip / (rate^2 g'd))) (Ba et al., ICLR 2017)
struct HsoKroneckerOptions {
  double rate = 1;
  Curvature curvature = Curvature::ggn;  ///< of the quadratic model that judges the step
  /// ggn (exact), fisher_mc (one draw of targets) or fisher_empirical; automatic (auto): fisher_mc of a network, else
  /// ggn
  Factors factors = Factors::automatic;
  int factor_every = 0;  ///< steps between factors; 0: 1 where steps are judged, else 10
  int refresh = 0;       ///< accepted steps that one set of inverses serves; 0: 1 where steps are judged, else 50
  double decay = 0.95;   ///< of the factors' averages; 0: the last ones alone
  /// Automatic (the word is auto): factored for hso.kfac of a network, else joint.
  FactorDamping damping = FactorDamping::automatic;
  bool judged = true;
  bool rescale = true;    ///< judged: to the minimum of the exact damped model along the step
  bool subspace = true;   ///< judged, with rescale: together with the last displacement
  double momentum = 0.9;  ///< not judged
  double kl_clip = 0.01;  ///< not judged; 0: none
  double delta = 0.01;
  double eps = 0, eps_scale = 0.1;
  bool adaptive = true;
  int max_trials = 12;
};

/// Dense without eigenvalues: theta -= rate ((A + tau I)^-1 + eps I) g, A + tau I = L L'. tau = delta where that is
/// positive definite; else it starts at 1e-3 |A|_F and doubles until the factorisation succeeds (Nocedal and Wright
/// 2006, algorithm 3.3), which the metric `shift` tells. eps_scale counts in units of 1 / |A|_F, at most 1 /
/// lambda_max. Memory of 2 n^2.
struct HsoCholeskyOptions {
  double rate = 1;
  Curvature curvature = Curvature::hessian;  ///< or ggn, finite_difference
  double delta = 0.01;
  double eps = 0, eps_scale = 0.1;
  bool adaptive = true;
  int max_trials = 12;
};

/// Block-diagonal: every block of A on its own eigenbasis, theta_b -= rate (V' diag(1 / phi) V + eps_b I) g_b, with the
/// sign policies of HsoOptions. eps_scale counts in units of 1 / lambda_max of the block. Memory of sum b^2 and one
/// eigendecomposition each, blocks of one size together. What couples blocks is left out of the inverse, not of the
/// quadratic model that judges the step: `rescale` takes its minimum along the step.
struct HsoBlockOptions {
  double rate = 1;
  Curvature curvature = Curvature::hessian;
  /// layer: parameters whose names agree up to the last '.'; parameter: every tensor by itself.
  HessianBlocks blocks = HessianBlocks::layer;
  SignPolicy sign = SignPolicy::abs;
  int refresh = 1;  ///< accepted steps that one set of decompositions serves
  bool rescale = true;
  double delta = 0.01;
  double eps = 0, eps_scale = 0.1;
  bool adaptive = true;
  int max_trials = 12;
};

/// The inverse from rank-one updates, theta -= rate (B + eps I) g. g is the gradient that each step sees: of the batch,
/// not of single samples.
///   outer  B = (delta I + sum_j decay^(k-j) g_j g_j')^-1, the current gradient among them: by Sherman and Morrison's
///          formula with memory = 0, which holds B [n][n]; by Woodbury's identity from the last `memory` gradients.
///          decay < 1 needs memory: a rank-one update that forgets would forget delta I with the gradients.
///   sr1    B += v v' / v'y, v = s - B y, from steps s and changes of the gradient y, skipped where
///          |v'y| < skip |v| |y| (Nocedal and Wright 2006, eq. 6.25 to 6.26); B_0 is half of s'y / y'y. memory = 0
///          holds B; otherwise the last pairs in compact form (Byrd, Nocedal and Schnabel, Math. Program. 63 (1994)
///          129, theorem 5.1 with s and y exchanged). delta and decay mean nothing here. Wants the whole batch.
/// A direction that does not descend (B is indefinite, or lost to rounding) becomes a gradient step, and the report
/// says so. The length is halved until f falls by `decrease` of what the slope promises (Armijo); where it never does
/// the step is rejected and theta stays.
struct HsoRank1Options {
  double rate = 1;
  RankOneKind kind = RankOneKind::outer;
  int memory = 0;  ///< vectors kept; 0: dense
  double delta = 1;
  double decay = 1;
  double skip = 1e-8;
  double eps = 0;  ///< absolute
  double decrease = 1e-4;
  int max_trials = 30;
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
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_cholesky(const HsoCholeskyOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_block(const HsoBlockOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_rank1(const HsoRank1Options& options);

}  // namespace hso
