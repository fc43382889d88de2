// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/adapters.hpp"

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"

namespace hso {

template <class T>
SubsampledCurvature<T>::SubsampledCurvature(Objective<T>& loss, Objective<T>& curvature)
    : loss_(loss), curvature_(curvature) {
  if (loss.dimension() != curvature.dimension())
    throw InputError(fmt::format("SubsampledCurvature: {} parameters of the loss and {} of the curvature differ",
                                 loss.dimension(), curvature.dimension()));
}

template <class T>
std::unique_ptr<LinearOperator<T>> SubsampledCurvature<T>::curvature(const T* theta, Curvature kind) {
  return curvature_.curvature(theta, kind);
}

template <class T>
typename Objective<T>::Linearized SubsampledCurvature<T>::linearize(const T* theta, T* g, Curvature kind) {
  const double value = loss_.gradient(theta, g);
  return {value, curvature_.curvature(theta, kind)};
}

template class SubsampledCurvature<float>;
template class SubsampledCurvature<double>;

}  // namespace hso
