// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective_around.hpp"

namespace hso {

template <class T>
NetworkObjective<T>* network_inside(Objective<T>& objective) {
  if (auto* around = dynamic_cast<ObjectiveAround<T>*>(&objective)) return network_inside(around->inside());
  return dynamic_cast<NetworkObjective<T>*>(&objective);
}

template <class T>
double finish_gradient(Objective<T>& objective, const T* theta, double value, T* g) {
  auto* around = dynamic_cast<ObjectiveAround<T>*>(&objective);
  if (around == nullptr) return value;
  return around->finish(theta, finish_gradient(around->inside(), theta, value, g), g);
}

template NetworkObjective<float>* network_inside(Objective<float>&);
template NetworkObjective<double>* network_inside(Objective<double>&);
template double finish_gradient(Objective<float>&, const float*, double, float*);
template double finish_gradient(Objective<double>&, const double*, double, double*);

}  // namespace hso
