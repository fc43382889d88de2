// SPDX-License-Identifier: Apache-2.0
//
// Methods that use the gradient alone: their options by name.
#include "hsogpu/gradient_methods.hpp"
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
void fields(AdamOptions& o, Visit&& visit) {
  detail::fields_of_rate(o, visit);
  visit("beta1", o.beta1, "decay of the mean, in [0, 1)");
  visit("beta2", o.beta2, "decay of the mean square, in [0, 1)");
  visit("epsilon", o.epsilon, "added to the root of the mean square");
}

std::vector<detail::Entry> detail::gradient_entries() {
  return {
      entry("sgd", "theta -= rate g", make_sgd<float>, make_sgd<double>),
      entry("momentum", "heavy ball: v = momentum v + g, theta -= rate v", make_momentum<float>, make_momentum<double>),
      entry("adam", "Adam (Kingma and Ba 2015)", make_adam<float>, make_adam<double>),
  };
}

}  // namespace hso
