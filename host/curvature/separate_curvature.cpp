// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/separate_curvature.hpp"

#include <fmt/format.h>

#include "hsogpu/error.hpp"

namespace hso {

template <class T>
SeparateCurvature<T>::SeparateCurvature(Objective<T>& loss, Objective<T>& curvature)
    : loss_(loss), curvature_(curvature) {
  if (loss.dimension() != curvature.dimension())
    throw InputError(fmt::format("SeparateCurvature: {} parameters of the loss and {} of the curvature differ",
                                 loss.dimension(), curvature.dimension()));
}

template <class T>
std::unique_ptr<LinearOperator<T>> SeparateCurvature<T>::curvature(const T* theta, Curvature kind) {
  return curvature_.curvature(theta, kind);
}

template <class T>
typename Objective<T>::Linearized SeparateCurvature<T>::linearize(const T* theta, T* g, Curvature kind) {
  const double value = loss_.gradient(theta, g);
  return {value, curvature_.curvature(theta, kind)};
}

template class SeparateCurvature<float>;
template class SeparateCurvature<double>;

}  // namespace hso
