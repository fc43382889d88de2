// SPDX-License-Identifier: Apache-2.0
//
// Newton's method by approximations: their options by name.
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/registry.hpp"

namespace hso {

template <class Visit>
void fields(LbfgsOptions& o, Visit&& visit) {
  visit("memory", o.memory, "pairs of steps and gradient changes that are kept");
  visit("decrease", o.decrease, "c1 of the Wolfe conditions, in (0, 0.5)");
  visit("curvature", o.curvature, "c2 of the Wolfe conditions, in (decrease, 1)");
  visit("iterations", o.iterations, "of one step, on the same batch");
  visit("max_trials", o.max_trials, "of one line search");
}

template <class Visit>
void fields(Sr1Options& o, Visit&& visit) {
  visit("radius", o.radius, "of the trust region at the start");
  visit("decrease", o.decrease, "least accepted ratio of actual to predicted decrease, in (0, 0.1)");
  visit("skip", o.skip, "no update where |r's| is below this share of |r| |s|, in (0, 1)");
  visit("max_trials", o.max_trials, "points tried in one step");
}

template <class Visit>
void fields(NewtonCgOptions& o, Visit&& visit) {
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("forcing", o.forcing, "largest relative residual of a solve, in (0, 1)");
  visit("iterations", o.iterations, "of one solve, at most");
  visit("decrease", o.decrease, "c1 of Armijo's condition, in (0, 0.5)");
  visit("max_trials", o.max_trials, "step lengths tried in one step");
}

std::vector<detail::Entry> detail::quasi_newton_entries() {
  return {
      entry("lbfgs", "limited-memory BFGS with a strong Wolfe line search (Liu and Nocedal 1989)", make_lbfgs<float>,
            make_lbfgs<double>),
      entry("sr1", "symmetric rank-one updates of a dense Hessian in a trust region", make_sr1<float>,
            make_sr1<double>),
      entry("newton_cg", "Newton by truncated conjugate gradients and backtracking", make_newton_cg<float>,
            make_newton_cg<double>),
  };
}

}  // namespace hso
