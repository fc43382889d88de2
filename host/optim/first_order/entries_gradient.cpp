// SPDX-License-Identifier: Apache-2.0
//
// Methods that use the gradient alone: their options by name.
#include "hsogpu/optim/first_order.hpp"
#include "optim/registry.hpp"

namespace hso {

template <class Visit>
void fields(SgdOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
}

template <class Visit>
void fields(MomentumOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("momentum", o.momentum, "in [0, 1)");
}

template <class Visit>
void fields(RmsPropOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("alpha", o.alpha, "decay of the mean square, in [0, 1)");
  visit("epsilon", o.epsilon, "added to the root of the mean square");
  visit("centered", o.centered, "divide by the standard deviation instead");
  visit("momentum", o.momentum, "of the scaled gradients, in [0, 1)");
}

template <class Visit>
void fields(AdagradOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("epsilon", o.epsilon, "added to the root of the sum of squares");
}

template <class Options, class Visit>
void fields_of_adam(Options& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("beta1", o.beta1, "decay of the mean, in [0, 1)");
  visit("beta2", o.beta2, "decay of the mean square, in [0, 1)");
  visit("epsilon", o.epsilon, "added to the root of the mean square");
}

template <class Visit>
void fields(AdamOptions& o, Visit&& visit) {
  fields_of_adam(o, visit);
}

template <class Visit>
void fields(AdamWOptions& o, Visit&& visit) {
  fields_of_adam(o, visit);
  visit("weight_decay", o.weight_decay, "decoupled: theta shrinks by rate * weight_decay, 0 or above");
}

std::vector<detail::Entry> detail::gradient_entries() {
  return {
      entry("sgd", "theta -= rate g", make_sgd<float>, make_sgd<double>),
      entry("momentum", "heavy ball: v = momentum v + g, theta -= rate v", make_momentum<float>, make_momentum<double>),
      entry("nesterov", "Nesterov's momentum: v = momentum v + g, theta -= rate (g + momentum v)", make_nesterov<float>,
            make_nesterov<double>),
      entry("rmsprop", "RMSProp (Tieleman and Hinton 2012)", make_rmsprop<float>, make_rmsprop<double>),
      entry("adagrad", "AdaGrad (Duchi, Hazan and Singer 2011)", make_adagrad<float>, make_adagrad<double>),
      entry("adam", "Adam (Kingma and Ba 2015)", make_adam<float>, make_adam<double>),
      entry("adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", make_adamw<float>,
            make_adamw<double>),
  };
}

}  // namespace hso
