// SPDX-License-Identifier: Apache-2.0
//
// HVP-corrected gradients and HSO in every form: their options by name.
#include "hsogpu/optim/hso.hpp"
#include "optim/registry.hpp"

namespace hso {

namespace detail {
template <>
inline constexpr std::array kWords<StepControl>{"damping", "trust_region"};
template <>
inline constexpr std::array kWords<VariableScaling>{"none", "curvature"};
template <>
inline constexpr std::array kWords<HvpProbe>{"ones", "gradient", "velocity", "random"};
template <>
inline constexpr std::array kWords<LanczosStart>{"gradient", "random"};
template <>
inline constexpr std::array kWords<Preconditioning>{"none", "lbfgs", "diagonal", "kfac"};
template <>
inline constexpr std::array kWords<Factors>{"auto", "ggn", "fisher_mc", "fisher_empirical"};
template <>
inline constexpr std::array kWords<FactorDamping>{"auto", "joint", "factored"};
template <>
inline constexpr std::array kWords<HessianBlocks>{"layer", "parameter"};
template <>
inline constexpr std::array kWords<RankOneKind>{"outer", "sr1"};
}  // namespace detail

template <class Visit>
void fields(HvpOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("alpha", o.alpha, "weight of H u; with u = gradient, > 0 flattens, < 0 leans towards Newton");
  visit("u", o.u, "");
  visit("momentum", o.momentum, "of the velocity that is stepped along, in [0, 1)");
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("adaptive", o.adaptive, "|alpha| follows the curvature along u and actual / predicted decrease");
  visit("seed", o.seed, "of u = random");
}

template <class Visit>
void fields(HsoOptions& o, Visit&& visit) {
  visit("rate", o.rate, "length of the step, 1 is a full Newton step");
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("sign", o.sign, "");
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
  visit("control", o.control, "what bounds a step");
  visit("radius", o.radius, "first trust radius, in units of the size of theta");
  visit("scaling", o.scaling, "units of theta, of curvature its diagonal (More 1978)");
}

/// What every form of HSO that is judged by the quadratic model has.
template <class Options, class Visit>
void fields_of_model(Options& o, Visit&& visit) {
  visit("rate", o.rate, "length of the step, 1 is a full Newton step");
  visit("curvature", o.curvature, "of the quadratic model: hessian, ggn or finite_difference");
  visit("delta", o.delta, "damping");
  visit("eps", o.eps, "added to the inverse, absolute");
  visit("eps_scale", o.eps_scale, "added to the inverse in units of the form's own, below 1");
  visit("adaptive", o.adaptive, "delta and eps follow actual / predicted decrease");
  visit("max_trials", o.max_trials, "dampings tried in one step");
}

template <class Visit>
void fields(HsoLowRankOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("rank", o.rank, "Ritz pairs that are kept, at most n; 0: 8, or n where that is smaller");
  visit("steps", o.steps, "Lanczos vectors; 0: rank (start = gradient), or 4 rank + 20 (random)");
  visit("refresh", o.refresh, "accepted steps that one set of pairs serves");
  visit("tolerance", o.tolerance, "start = random: of the pairs' residuals over the largest |lambda|");
  visit("start", o.start, "where Lanczos starts, random for the top pairs");
  visit("subspace", o.subspace, "the model chooses lengths: of the kept part, the rest and the last displacement");
  visit("judged", o.judged, "a product and the value judge every step; false: taken as it is, damping fixed");
  visit("sign", o.sign, "");
  visit("seed", o.seed, "of start = random");
}

template <class Visit>
void fields(HsoCgOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("globalization", o.globalization, "");
  visit("iterations", o.iterations, "of one solve, at most");
  visit("progress", o.progress, "of the mean gain: iterations that gain less end a solve; 0: never");
  visit("tolerance", o.tolerance, "of a solve's residual");
  visit("warm_start", o.warm_start, "share of the last solution that a solve starts from, in [0, 1)");
  visit("backtrack", o.backtrack, "iterates kept for walking back");
  visit("line_search", o.line_search, "halvings of a step before the damping is raised");
  visit("preconditioner", o.preconditioner, "lbfgs from the solves before; diagonal and kfac of networks alone");
  visit("memory", o.memory, "pairs of lbfgs");
  visit("refresh", o.refresh, "accepted steps that one preconditioner serves");
  visit("delta_min", o.delta_min, "smallest adapted delta");
  visit("increase", o.increase, "factor of delta after a poor step, above 1");
  visit("decrease", o.decrease, "divisor of delta after a good step, at least 1");
  visit("radius", o.radius, "of the trust region at the start");
  visit("radius_max", o.radius_max, "largest adapted radius");
}

template <class Visit>
void fields(HsoKroneckerOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("factors", o.factors, "ggn is exact, auto fisher_mc");
  visit("factor_every", o.factor_every, "steps between factors; 0: 1 where steps are judged, else 10");
  visit("refresh", o.refresh, "accepted steps that one set of inverses serves; 0: 1 where steps are judged, else 50");
  visit("decay", o.decay, "of the factors' averages, in [0, 1); 0: the last ones alone");
  visit("damping", o.damping,
        "in eigenvectors, or Cholesky inverses of damped factors; auto: factored, of hso.ekfac joint");
  visit("judged", o.judged, "products and the value judge every step; false: taken as it is, damping fixed");
  visit("rescale", o.rescale, "judged: scale the step to the minimum of the damped model along it");
  visit("subspace", o.subspace, "judged: the model chooses the lengths of the step and of the last displacement");
  visit("momentum", o.momentum, "not judged: heavy ball, in [0, 1)");
  visit("kl_clip", o.kl_clip, "not judged: bound of rate^2 g'd; 0: none");
}

template <class Visit>
void fields(HsoCholeskyOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
}

template <class Visit>
void fields(HsoBlockOptions& o, Visit&& visit) {
  fields_of_model(o, visit);
  visit("blocks", o.blocks, "");
  visit("sign", o.sign, "");
  visit("refresh", o.refresh, "accepted steps that one set of decompositions serves");
  visit("rescale", o.rescale, "scale the step to the minimum of the damped model along it");
}

template <class Visit>
void fields(HsoRank1Options& o, Visit&& visit) {
  visit("rate", o.rate, "first length of the step");
  visit("kind", o.kind, "delta I + sum g g', or symmetric rank-one updates of the inverse");
  visit("memory", o.memory, "vectors kept; 0: a dense inverse");
  visit("delta", o.delta, "outer: damping, above 0");
  visit("decay", o.decay, "outer: weight of the gradient one step older, in (0, 1]; below 1 needs memory");
  visit("skip", o.skip, "sr1: updates with |v'y| below skip |v| |y| are left out");
  visit("eps", o.eps, "added to the inverse, absolute");
  visit("decrease", o.decrease, "share of the slope's decrease that a step must reach, in (0, 1)");
  visit("max_trials", o.max_trials, "lengths tried in one step, each half of the one before");
}

std::vector<detail::Entry> detail::hso_entries() {
  return {
      entry("hvp", "HVP-corrected gradient: theta -= rate (g + alpha H u)", make_hvp<float>, make_hvp<double>),
      entry("hso", "epsilon-modified inverse Hessian: theta -= rate (phi(H)^-1 + eps I) g", make_hso<float>,
            make_hso<double>),
      entry("hso.lowrank", "HSO from Ritz pairs of Lanczos, eps on the complement", make_hso_lowrank<float>,
            make_hso_lowrank<double>),
      entry("hso.cg", "HSO by conjugate gradients: theta -= rate ((A + delta I)^-1 + eps I) g", make_hso_cg<float>,
            make_hso_cg<double>),
      networks_alone(entry("hso.kfac", "HSO in the eigenbasis of Kronecker factors (K-FAC)", make_hso_kfac<float>,
                           make_hso_kfac<double>)),
      networks_alone(entry("hso.ekfac",
                           "HSO in the eigenbasis of Kronecker factors, with corrected eigenvalues (EKFAC)",
                           make_hso_ekfac<float>, make_hso_ekfac<double>)),
      entry("hso.cholesky", "epsilon-modified inverse Hessian by Cholesky: theta -= rate ((A + tau I)^-1 + eps I) g",
            make_hso_cholesky<float>, make_hso_cholesky<double>),
      entry("hso.block", "HSO for every diagonal block (layer or parameter) by itself", make_hso_block<float>,
            make_hso_block<double>),
      entry("hso.rank1", "HSO from rank-one updates of the inverse: g g' (Sherman-Morrison), or SR1",
            make_hso_rank1<float>, make_hso_rank1<double>),
  };
}

}  // namespace hso
