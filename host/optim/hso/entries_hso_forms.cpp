// SPDX-License-Identifier: Apache-2.0
//
// Forms of HSO by Cholesky, by blocks and by rank-one updates: their options by name.
#include "hsogpu/optim/hso.hpp"
#include "optim/registry.hpp"

namespace hso {

/// What the forms that the quadratic model judges have.
template <class Options, class Visit>
void fields_of_judged(Options& o, Visit&& visit) {
  visit("rate", o.rate, "length of the step, 1 is a full Newton step");
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("delta", o.delta, "damping");
  visit("eps", o.eps, "added to the inverse, absolute");
  visit("eps_scale", o.eps_scale, "added to the inverse in units of the form's own, below 1");
  visit("adaptive", o.adaptive, "delta and eps follow actual / predicted decrease");
  visit("max_trials", o.max_trials, "dampings tried in one step");
}

template <class Visit>
void fields(HsoCholeskyOptions& o, Visit&& visit) {
  fields_of_judged(o, visit);
}

template <class Visit>
void fields(HsoBlockOptions& o, Visit&& visit) {
  fields_of_judged(o, visit);
  visit("blocks", o.blocks, "layer or parameter");
  visit("sign", o.sign, "raw, abs, clip, shift or truncate");
  visit("refresh", o.refresh, "accepted steps that one set of decompositions serves");
  visit("rescale", o.rescale, "scale the step to the minimum of the damped model along it");
}

template <class Visit>
void fields(HsoRank1Options& o, Visit&& visit) {
  visit("rate", o.rate, "first length of the step");
  visit("kind", o.kind, "outer (delta I + sum g g') or sr1 (symmetric rank-one updates of the inverse)");
  visit("memory", o.memory, "vectors kept; 0: a dense inverse");
  visit("delta", o.delta, "outer: damping, above 0");
  visit("decay", o.decay, "outer: weight of the gradient one step older, in (0, 1]; below 1 needs memory");
  visit("skip", o.skip, "sr1: updates with |v'y| below skip |v| |y| are left out");
  visit("eps", o.eps, "added to the inverse, absolute");
  visit("decrease", o.decrease, "share of the slope's decrease that a step must reach, in (0, 1)");
  visit("max_trials", o.max_trials, "lengths tried in one step, each half of the one before");
}

std::vector<detail::Entry> detail::hso_form_entries() {
  return {
      entry("hso.cholesky", "epsilon-modified inverse Hessian by Cholesky: theta -= rate ((A + tau I)^-1 + eps I) g",
            make_hso_cholesky<float>, make_hso_cholesky<double>),
      entry("hso.block", "HSO for every diagonal block (layer or parameter) by itself", make_hso_block<float>,
            make_hso_block<double>),
      entry("hso.rank1", "HSO from rank-one updates of the inverse: g g' (Sherman-Morrison), or SR1",
            make_hso_rank1<float>, make_hso_rank1<double>),
  };
}

}  // namespace hso
