// SPDX-License-Identifier: Apache-2.0
//
// Option structs and their fields by name. `fields(options, visit)` lists an optimizer's options once; parsing, the
// help text and the tests are visitors of that list.
#pragma once

#include <string>

#include "hsogpu/optimizer.hpp"

namespace hso::detail {

template <class Options, class Visit>
void fields_of_rate(Options& o, Visit&& visit) {
  visit("rate", o.rate, "learning rate, above 0");
}

template <class Visit>
void fields(SgdOptions& o, Visit&& visit) {
  fields_of_rate(o, visit);
}

template <class Visit>
void fields(MomentumOptions& o, Visit&& visit) {
  fields_of_rate(o, visit);
  visit("momentum", o.momentum, "in [0, 1)");
}

template <class Visit>
void fields(AdamOptions& o, Visit&& visit) {
  fields_of_rate(o, visit);
  visit("beta1", o.beta1, "decay of the mean, in [0, 1)");
  visit("beta2", o.beta2, "decay of the mean square, in [0, 1)");
  visit("epsilon", o.epsilon, "added to the root of the mean square");
}

template <class Visit>
void fields(HvpOptions& o, Visit&& visit) {
  fields_of_rate(o, visit);
  visit("alpha", o.alpha, "weight of H u; with u = gradient, > 0 flattens, < 0 leans towards Newton");
  visit("u", o.u, "ones, gradient, velocity or random");
  visit("momentum", o.momentum, "of the velocity that is stepped along, in [0, 1)");
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("seed", o.seed, "of u = random");
}

template <class Visit>
void fields(HsoOptions& o, Visit&& visit) {
  visit("rate", o.rate, "length of the step, 1 is a full Newton step");
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("sign", o.sign, "raw, abs, clip, shift or truncate");
  visit("delta", o.delta, "damping, added to phi(lambda)");
  visit("eps", o.eps, "added to the inverse, absolute");
  visit("eps_scale", o.eps_scale, "added to the inverse in units of 1 / lambda_max");
  visit("adaptive", o.adaptive, "delta and eps follow actual / predicted decrease");
  visit("delta_min", o.delta_min, "smallest adapted delta");
  visit("delta_max", o.delta_max, "largest adapted delta");
  visit("increase", o.increase, "factor of delta after a poor step, above 1");
  visit("decrease", o.decrease, "divisor of delta after a good step, at least 1");
  visit("max_trials", o.max_trials, "step lengths tried on one eigendecomposition");
  visit("rank_tolerance", o.rank_tolerance, "relative to the largest |lambda|; 0: n times the machine epsilon");
}

/// What every form of HSO that is judged by the quadratic model has.
template <class Options, class Visit>
void fields_of_model(Options& o, Visit&& visit) {
  visit("rate", o.rate, "length of the step, 1 is a full Newton step");
  visit("curvature", o.curvature, "of the quadratic model: hessian, ggn or finite_difference");
  visit("delta", o.delta, "damping");
  visit("eps", o.eps, "added to the inverse, absolute");
  visit("eps_scale", o.eps_scale, "added to the inverse in units of the form's own");
  visit("adaptive", o.adaptive, "delta and eps follow actual / predicted decrease");
  visit("max_trials", o.max_trials, "dampings tried in one step");
}

template <class Visit>
void fields(HsoLowRankOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("rank", o.rank, "eigenpairs that are kept");
  visit("refresh", o.refresh, "accepted steps that one set of pairs serves");
  visit("tolerance", o.tolerance, "of the pairs' residuals over the largest |lambda|");
  visit("sign", o.sign, "raw, abs, clip, shift or truncate");
  visit("seed", o.seed, "of Lanczos' start");
}

template <class Visit>
void fields(HsoCgOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("iterations", o.iterations, "of one solve, at most");
  visit("tolerance", o.tolerance, "of a solve's residual");
}

template <class Visit>
void fields(HsoKroneckerOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("refresh", o.refresh, "accepted steps that one set of factors serves");
  visit("rescale", o.rescale, "scale the step to the minimum of the damped model along it");
}

}  // namespace hso::detail
