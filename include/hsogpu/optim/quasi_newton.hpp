// SPDX-License-Identifier: Apache-2.0
//
// Newton's method by approximations of the Hessian: from pairs of steps and gradient changes (lbfgs, sr1), or by
// truncated conjugate gradients on exact products (newton_cg). All judge a step by the loss and want the whole batch.
// Options apart from state; every field is an option of that name. N&W is Nocedal and Wright, "Numerical optimization",
// 2nd edition, 2006.
#pragma once

#include "hsogpu/optim/optimizer.hpp"

namespace hso {

/// Limited-memory BFGS, Liu and Nocedal, Math. Programming 45 (1989) 503; N&W algorithm 7.5. The inverse is built from
/// the last `memory` pairs s = theta+ - theta, y = g+ - g by the two-loop recursion (algorithm 7.4), on the scaled
/// identity s'y / y'y (equation 7.20); the length of a step satisfies the strong Wolfe conditions (line search:
/// algorithms 3.5 and 3.6). The first direction is -g with a first trial of length min(1, |g|). Pairs with
/// s'y <= 1e-10 |s| |y| are left out. When the line search fails, the pairs are dropped and -g is tried once.
/// (2 memory + 6) n numbers. A step evaluates the gradient where it starts, so that the loss may have changed
/// between steps, and at every trial; `iterations` of them share one start, and `step_norm` is that of the last.
struct LbfgsOptions {
  int memory = 10;
  double decrease = 1e-4;  ///< c1 of the Wolfe conditions
  double curvature = 0.9;  ///< c2
  int iterations = 1;      ///< of one step, on the same loss
  int max_trials = 20;     ///< of one line search
};

/// Symmetric rank-one updates of the Hessian in a trust region, N&W algorithm 6.2 with update 6.24 and skip rule 6.26:
/// B += r r' / (r's), r = y - B s, unless |r's| < skip |r| |s|. Refused steps update B as well. B starts at the
/// identity and is scaled to y'y / s'y before the first update (N&W 6.20). The step minimises the model by Steihaug's
/// conjugate gradients (SIAM J. Numer. Anal. 20 (1983) 626; N&W algorithm 7.2) to a residual of
/// min(0.1, sqrt|g|) |g|. n^2 numbers: MemoryError says which n would fit.
struct Sr1Options {
  double radius = 1;       ///< of the trust region at the start
  double decrease = 1e-4;  ///< least accepted ratio of actual to predicted decrease
  double skip = 1e-8;      ///< r of the skip rule
  int max_trials = 30;     ///< points tried in one step
};

/// Line-search Newton-CG, N&W algorithm 7.1: A p = -g by conjugate gradients up to a residual of
/// min(forcing, sqrt|g|) |g| or negative curvature (then the iterate so far, or -g when there is none), and
/// backtracking from the full step. Seven vectors beside the curvature's. `curvature` ggn needs a network's outputs and
/// never has negative curvature.
struct NewtonCgOptions {
  Curvature curvature = Curvature::hessian;  ///< or ggn, finite_difference
  double forcing = 0.5;                      ///< largest relative residual of a solve
  int iterations = 200;                      ///< of one solve, at most
  double decrease = 1e-4;                    ///< c1 of Armijo's condition
  int max_trials = 30;                       ///< step lengths tried in one step
};

template <class T>
std::unique_ptr<Optimizer<T>> make_lbfgs(const LbfgsOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_sr1(const Sr1Options& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_newton_cg(const NewtonCgOptions& options);

}  // namespace hso
