// SPDX-License-Identifier: Apache-2.0
#include "linalg/filtered.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

template <class T>
FilteredOperator<T>::FilteredOperator(LinearOperator<T>& a, double low, double high, double number, Index degree)
    : a_(a), middle_(0.5 * (low + high)), half_(0.5 * (high - low)) {
  // A number outside the spectrum is as good as its end.
  const double angle = std::acos(std::clamp((number - middle_) / half_, -1.0, 1.0)),
               turn = std::numbers::pi / static_cast<double>(degree + 2);
  for (Index j = 0; j <= degree; ++j) {
    const double i = static_cast<double>(j);
    const double jackson = (1 - i / static_cast<double>(degree + 2)) * std::cos(i * turn) +
                           std::sin(i * turn) / (std::tan(turn) * static_cast<double>(degree + 2));
    coefficients_.push_back((j == 0 ? 1 : 2) * jackson * std::cos(i * angle));
  }
  const double top = at(number);
  for (double& c : coefficients_) c /= top;
}

template <class T>
double FilteredOperator<T>::at(double x) const {
  const double angle = std::acos(std::clamp((x - middle_) / half_, -1.0, 1.0));
  double sum = 0;
  for (std::size_t j = 0; j < coefficients_.size(); ++j)
    sum += coefficients_[j] * std::cos(static_cast<double>(j) * angle);
  return sum;
}

/// T_{j+1} = 2 x T_j - T_{j-1}.
template <class T>
void FilteredOperator<T>::apply(View<const T> v, View<T> hv) {
  const Index n = dimension(), lanes = v.lanes;
  auto& ops = context().template ops<T>();
  Scratch scratch(context());
  T* before = scratch.take<T>(lanes * n);
  T* now = scratch.take<T>(lanes * n);
  T* product = scratch.take<T>(lanes * n);
  const auto combine = [&](double a, const T* x, Index x_stride, double b, T* y, Index y_stride) {
    ops.for_each(lanes, n, Axpby<T>{static_cast<T>(a), x, x_stride, static_cast<T>(b), y, y_stride});
  };
  combine(1, v.data, v.lane_stride, 0, now, n);
  combine(coefficients_[0], v.data, v.lane_stride, 0, hv.data, hv.lane_stride);
  for (std::size_t j = 1; j < coefficients_.size(); ++j) {
    const double factor = (j == 1 ? 1 : 2) / half_;
    a_.apply(vector_view<const T>(now, n, lanes), vector_view(product, n, lanes));
    combine(-middle_ * factor, now, n, j == 1 ? 0 : -1, before, n);
    combine(factor, product, n, 1, before, n);
    std::swap(before, now);
    combine(coefficients_[j], now, n, 1, hv.data, hv.lane_stride);
  }
  products_ += lanes * (static_cast<Index>(coefficients_.size()) - 1);
}

template class FilteredOperator<float>;
template class FilteredOperator<double>;

}  // namespace hso::detail
