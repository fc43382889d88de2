// SPDX-License-Identifier: Apache-2.0
#include "optim/quasi_newton/lbfgs_inverse.hpp"

#include <algorithm>
#include <cmath>

namespace hso::detail {

template <class T>
Index LbfgsInverse<T>::bytes(Index n) const {
  const Index numbers = 2 * spare_ * rows() + 2 * memory_ * (memory_ + 1) + 2 * rows();
  // Rows twice: as state they are copied before each step.
  return checked_multiply(checked_multiply(2 * rows(), n) + rows(), static_cast<Index>(sizeof(T))) +
         numbers * static_cast<Index>(sizeof(double));
}

template <class T>
void LbfgsInverse<T>::make_room(Context& context, Index n) {
  context_ = &context;
  n_ = n;
  rows_ = Buffer<T>(context, checked_multiply(rows(), n));
  context.ops<T>().fill(rows_.size(), T(0), rows_.data());  // rows without a pair are multiplied by 0
  factors_ = Buffer<T>(context, rows());
  numbers_ = Buffer<double>(context, 2 * memory_ * (memory_ + 1));
  work_ = Buffer<double>(context, 2 * rows());
  queued_ = std::make_unique<QueuedNumbers>(context, 2 * spare_ * rows());
  gram_.assign(static_cast<std::size_t>(rows() * rows()), 0);
  deltas_.assign(static_cast<std::size_t>(places()), 0);
  clear();
}

template <class T>
void LbfgsInverse<T>::clear() {
  order_.clear();
  unmeasured_.clear();
  find_fresh();
}

template <class T>
void LbfgsInverse<T>::find_fresh() {
  fresh_.clear();
  for (Index place = 0; place < places() && static_cast<Index>(fresh_.size()) < spare_; ++place)
    if (std::find(order_.begin(), order_.end(), place) == order_.end()) fresh_.push_back(place);
}

template <class T>
void LbfgsInverse<T>::visit_state(StateVisitor& state) {
  std::vector<double> order(order_.begin(), order_.end());
  state("order", order);
  state("deltas", deltas_);
  state("rows", rows_);
  if (!state.reads()) return;
  order_.assign(order.begin(), order.end());
  unmeasured_ = order_;
  find_fresh();
}

template <class T>
void LbfgsInverse<T>::keep(Index count, double delta) {
  for (Index i = std::max<Index>(1, count - spare_ + 1); i <= count; ++i) {
    order_.push_back(fresh(i));
    unmeasured_.push_back(fresh(i));
    deltas_[static_cast<std::size_t>(fresh(i))] = delta;
  }
  const Index surplus = std::max<Index>(0, static_cast<Index>(order_.size()) - memory_);
  order_.erase(order_.begin(), order_.begin() + surplus);
  find_fresh();
}

/// Waits for the device.
template <class T>
void LbfgsInverse<T>::measure() {
  while (!unmeasured_.empty()) {
    const auto count = std::min(unmeasured_.size(), static_cast<std::size_t>(spare_));
    queued_->start();
    for (std::size_t k = 0; k < count; ++k)
      for (Index i : {unmeasured_[k], places() + unmeasured_[k]})
        context_->ops<T>().dots_on_device(rows(), n_, rows_.data(), n_, row(i), 0, queued_->take(rows()));
    queued_->post();
    const double* found = queued_->values().data();
    for (std::size_t k = 0; k < count; ++k)
      for (Index i : {unmeasured_[k], places() + unmeasured_[k]})
        for (Index j = 0; j < rows(); ++j) gram(i, j) = gram(j, i) = *found++;
    unmeasured_.erase(unmeasured_.begin(), unmeasured_.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

/// Columns of S and Y + S diag(shift), from the oldest to the newest.
template <class T>
struct LbfgsInverse<T>::Pairs {
  LbfgsInverse& own;
  std::vector<Index> of;
  std::vector<double> shifts;
  std::size_t size() const { return of.size(); }
  double ss(std::size_t i, std::size_t j) const { return own.gram(of[i], of[j]); }
  double sy(std::size_t i, std::size_t j) const { return own.gram(of[i], own.places() + of[j]) + shifts[j] * ss(i, j); }
  double yy(std::size_t i, std::size_t j) const {
    return own.gram(own.places() + of[i], own.places() + of[j]) + shifts[i] * own.gram(of[i], own.places() + of[j]) +
           shifts[j] * sy(j, i);
  }
  /// s'y of the newest is above what rounding of the products leaves.
  bool newest_is_usable() const {
    const std::size_t i = size() - 1;
    return std::isfinite(sy(i, i) / yy(i, i)) && sy(i, i) > 1e-10 * std::sqrt(ss(i, i) * yy(i, i));
  }
};

template <class T>
auto LbfgsInverse<T>::usable(double delta) -> Pairs {
  Pairs out{*this, {}, {}};
  for (Index place : order_) {
    out.of.push_back(place);
    out.shifts.push_back(delta - deltas_[static_cast<std::size_t>(place)]);
    if (out.newest_is_usable()) continue;
    out.of.pop_back();
    out.shifts.pop_back();
  }
  return out;
}

template <class T>
bool LbfgsInverse<T>::renew(double delta) {
  measure();
  Pairs pairs = usable(delta);
  if (pairs.size() == 0) return false;
  const std::size_t newest = pairs.size() - 1;
  gamma_ = pairs.sy(newest, newest) / pairs.yy(newest, newest);
  upload(pairs);
  return true;
}

/// Places, shifts, S'Y and Y'Y, one behind the other.
template <class T>
void LbfgsInverse<T>::upload(Pairs& pairs) {
  used_ = static_cast<Index>(pairs.size());
  std::vector<double> numbers(pairs.of.begin(), pairs.of.end());
  numbers.insert(numbers.end(), pairs.shifts.begin(), pairs.shifts.end());
  for (std::size_t i = 0; i < pairs.size(); ++i)
    for (std::size_t j = 0; j < pairs.size(); ++j) numbers.push_back(pairs.sy(i, j));
  for (std::size_t i = 0; i < pairs.size(); ++i)
    for (std::size_t j = 0; j < pairs.size(); ++j) numbers.push_back(pairs.yy(i, j));
  context_->to_device(numbers.data(), numbers_.data(), static_cast<Index>(numbers.size() * sizeof(double)));
}

template <class T>
void LbfgsInverse<T>::apply(View<const T> v, View<T> hv) {
  auto& ops = context_->ops<T>();
  const double *of = numbers_.data(), *shifts = of + used_, *sy = shifts + used_;
  double *products = work_.data(), *p = products + rows(), *q = p + used_;
  for (Index lane = 0; lane < v.lanes; ++lane) {
    const T* from = v.data + lane * v.lane_stride;
    T* to = hv.data + lane * hv.lane_stride;
    ops.dots_on_device(rows(), n_, rows_.data(), n_, from, 0, products);
    ops.for_each(1, 1,
                 LbfgsCoefficients<T>{used_, places(), gamma_, of, shifts, sy, sy + used_ * used_, products, p, q,
                                      factors_.data()});
    ops.axpby(n_, static_cast<T>(gamma_), from, T(0), to);
    ops.gemm({1, n_, rows(), factors_.data(), rows(), false, rows_.data(), n_, false, to, n_, T(1), T(1)});
  }
}

template class LbfgsInverse<float>;
template class LbfgsInverse<double>;

}  // namespace hso::detail
