// SPDX-License-Identifier: Apache-2.0
//
// Preconditioned methods: their options by name.
#include "hsogpu/optim/preconditioned.hpp"
#include "optim/registry.hpp"

namespace hso {

namespace detail {
template <>
inline constexpr std::array kWords<SpatialAverage>{"none", "row", "kernel"};
template <>
inline constexpr std::array kWords<DiagonalEstimator>{"hutchinson", "gnb"};
template <>
inline constexpr std::array kWords<Grafting>{"none", "sgd"};
}  // namespace detail

template <class Visit>
void fields(AdaHessianOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("beta1", o.beta1, "decay of the mean, in [0, 1)");
  visit("beta2", o.beta2, "decay of the diagonal's mean square, in [0, 1)");
  visit("epsilon", o.epsilon, "added to the power of the root of the mean square");
  visit("power", o.power, "the Hessian power, in (0, 1]");
  visit("spatial", o.spatial, "what the diagonal is averaged over, kernel of a convolution");
  visit("refresh", o.refresh, "steps that one diagonal serves");
  visit("curvature", o.curvature, "hessian, ggn or finite_difference");
  visit("seed", o.seed, "of the probes");
}

template <class Visit>
void fields(SophiaOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("beta1", o.beta1, "decay of the mean, in [0, 1)");
  visit("beta2", o.beta2, "decay of the diagonal's average, in [0, 1)");
  visit("gamma", o.gamma, "factor of the diagonal: the larger, the fewer entries are clipped");
  visit("epsilon", o.epsilon, "smallest divisor");
  visit("estimator", o.estimator, "gnb for networks of products with the data");
  visit("refresh", o.refresh, "steps between diagonals");
  visit("curvature", o.curvature, "of hutchinson: hessian, ggn or finite_difference");
  visit("seed", o.seed, "of the probes or the drawn targets");
}

template <class Visit>
void fields(KfacOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("momentum", o.momentum, "of the preconditioned gradient, in [0, 1)");
  visit("delta", o.delta, "damping, above 0");
  visit("decay", o.decay, "of the factors' averages, in [0, 1)");
  visit("kl_clip", o.kl_clip, "bound on rate^2 g'F^-1 g; 0: none");
  visit("factor_every", o.factor_every, "steps between factors");
  visit("inverse_every", o.inverse_every, "steps between inverses or eigenbases");
  visit("factors", o.factors, "fisher_mc, fisher_empirical or ggn");
}

template <class Visit>
void fields(ShampooOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("momentum", o.momentum, "of the preconditioned gradient, in [0, 1)");
  visit("beta", o.beta, "decay of the statistics, in [0, 1]; 1 sums them");
  visit("epsilon", o.epsilon, "added to the statistics' eigenvalues");
  visit("refresh", o.refresh, "steps between roots");
  visit("max_dimension", o.max_dimension, "longer axes keep a diagonal");
  visit("graft", o.graft, "length of the step of each slice, its own or the gradient's");
}

template <class Visit>
void fields(SoapOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("beta1", o.beta1, "decay of the mean, in [0, 1)");
  visit("beta2", o.beta2, "decay of the mean square, in [0, 1)");
  visit("epsilon", o.epsilon, "added to the root of the mean square");
  visit("shampoo_beta", o.shampoo_beta, "decay of the statistics, in [0, 1)");
  visit("refresh", o.refresh, "steps between eigenbases");
  visit("max_dimension", o.max_dimension, "longer axes are not rotated");
}

template <class Visit>
void fields(MuonOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("momentum", o.momentum, "before the matrices are orthogonalised, in [0, 1)");
  visit("nesterov", o.nesterov, "look ahead along the momentum");
  visit("iterations", o.iterations, "Newton-Schulz steps");
  visit("hidden_only", o.hidden_only, "the first and last matrix take Adam");
  visit("adam_rate", o.adam_rate, "learning rate of all that is no matrix, above 0");
  visit("beta1", o.beta1, "of Adam, in [0, 1)");
  visit("beta2", o.beta2, "of Adam, in [0, 1)");
  visit("epsilon", o.epsilon, "of Adam");
}

std::vector<detail::Entry> detail::preconditioned_entries() {
  return {
      entry("adahessian", "AdaHessian (Yao et al. 2021): Adam with Hutchinson's diagonal", make_adahessian<float>,
            make_adahessian<double>),
      entry("sophia", "Sophia (Liu et al. 2023): steps clipped by a diagonal", make_sophia<float>, make_sophia<double>),
      networks_alone(entry("kfac", "K-FAC (Martens and Grosse 2015): running Kronecker factors", make_kfac<float>,
                           make_kfac<double>)),
      networks_alone(entry("ekfac", "EKFAC (George et al. 2018): second moments in their eigenbasis", make_ekfac<float>,
                           make_ekfac<double>)),
      entry("shampoo", "Shampoo (Gupta et al. 2018): roots of both axes' statistics", make_shampoo<float>,
            make_shampoo<double>),
      entry("soap", "SOAP (Vyas et al. 2024): Adam in Shampoo's eigenbasis", make_soap<float>, make_soap<double>),
      entry("muon", "Muon (Jordan 2024): orthogonalised momentum of matrices, Adam for the rest", make_muon<float>,
            make_muon<double>),
  };
}

}  // namespace hso
