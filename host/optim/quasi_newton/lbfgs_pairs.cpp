// SPDX-License-Identifier: Apache-2.0
#include "optim/quasi_newton/lbfgs_pairs.hpp"

namespace hso::detail {

template <class T>
void LbfgsPairs<T>::make_room(Context& context, Index memory, Index n) {
  ops_ = &context.ops<T>();
  late_ = context.is_cuda();
  n_ = n;
  for (Buffer<T>* b : {&s_, &y_}) {
    *b = Buffer<T>(context, checked_multiply(memory + 1, n));
    ops_->fill(b->size(), T(0), b->data());  // places that hold nothing yet are multiplied, and written to files
  }
  curvature_.assign(static_cast<std::size_t>(memory + 1), 0);
  coefficients_ = curvature_;
  sy_.assign(curvature_.size() * curvature_.size(), 0);
  yy_ = sy_;
  clear();
}

template <class T>
void LbfgsPairs<T>::queue_next(double* numbers) {
  const T *s = next_s(), *y = next_y();
  ops_->dots_on_device(1, n_, s, n_, y, n_, numbers);
  ops_->dots_on_device(1, n_, y, n_, y, n_, numbers + 1);
  ops_->dots_on_device(1, n_, s, n_, s, n_, numbers + 2);
  if (!late_) return;
  const Index count = places();
  ops_->dots_on_device(count, n_, y_.data(), n_, s, 0, numbers + 3);
  ops_->dots_on_device(count, n_, s_.data(), n_, y, 0, numbers + 3 + count);
  ops_->dots_on_device(count, n_, y_.data(), n_, y, 0, numbers + 3 + 2 * count);
}

template <class T>
bool LbfgsPairs<T>::keep(Span<const double> numbers) {
  const double sy = numbers[0], yy = numbers[1], ss = numbers[2];
  if (!std::isfinite(sy / yy) || !(sy > 1e-10 * std::sqrt(ss * yy))) {
    for (T* left_out : {next_s(), next_y()})  // `combine` multiplies by zero what it does not use
      if (late_) ops_->fill(n_, T(0), left_out);
    return false;
  }
  const Index count = places();
  for (Index i = 0; late_ && i < count; ++i) {
    const double* found = numbers.data() + 3 + i;
    entry(sy_, next_, i) = found[0];
    entry(sy_, i, next_) = found[count];
    entry(yy_, next_, i) = entry(yy_, i, next_) = found[2 * count];
  }
  curvature_[static_cast<std::size_t>(next_)] = sy;
  scale_ = sy / yy;
  next_ = (next_ + 1) % count;
  count_ = std::min(count_ + 1, count - 1);
  return true;
}

template <class T>
void LbfgsPairs<T>::apply(T* v) {
  std::vector<double>& a = coefficients_;
  for (Index k = 1; k <= count_; ++k) {
    const Index i = at(k);
    a[static_cast<std::size_t>(i)] = ops_->dot(n_, s_.data() + i * n_, v) / curvature(i);
    ops_->axpby(n_, static_cast<T>(-a[static_cast<std::size_t>(i)]), y_.data() + i * n_, T(1), v);
  }
  ops_->axpby(n_, T(0), v, static_cast<T>(scale_), v);
  for (Index k = count_; k >= 1; --k) {
    const Index i = at(k);
    const double b = ops_->dot(n_, y_.data() + i * n_, v) / curvature(i);
    ops_->axpby(n_, static_cast<T>(a[static_cast<std::size_t>(i)] - b), s_.data() + i * n_, T(1), v);
  }
}

template <class T>
void LbfgsPairs<T>::queue_products(const T* g, double* numbers) {
  ops_->dots_on_device(places(), n_, s_.data(), n_, g, 0, numbers);
  ops_->dots_on_device(places(), n_, y_.data(), n_, g, 0, numbers + places());
}

/// The loops of `apply` with v = -g: behind the first v = scale (-g - sum a_j y_j), behind the second + sum c_j s_j.
template <class T>
void LbfgsPairs<T>::combine(Span<const double> products, const T* g, T* v) {
  const auto count = static_cast<std::size_t>(places());
  std::vector<double> a(count, 0), c(count, 0);
  for (Index k = 1; k <= count_; ++k) {
    const Index i = at(k);
    double along = -products[static_cast<std::size_t>(i)];
    for (Index j = 1; j < k; ++j) along -= a[static_cast<std::size_t>(at(j))] * entry(sy_, i, at(j));
    a[static_cast<std::size_t>(i)] = along / curvature(i);
  }
  for (Index k = count_; k >= 1; --k) {
    const Index i = at(k);
    double along = -products[count + static_cast<std::size_t>(i)];
    for (Index j = 1; j <= count_; ++j) along -= a[static_cast<std::size_t>(at(j))] * entry(yy_, i, at(j));
    along *= scale_;
    for (Index j = count_; j > k; --j) along += c[static_cast<std::size_t>(at(j))] * entry(sy_, at(j), i);
    c[static_cast<std::size_t>(i)] = a[static_cast<std::size_t>(i)] - along / curvature(i);
  }
  std::vector<T> factors;
  for (double x : a) factors.push_back(static_cast<T>(-scale_ * x));
  factors.insert(factors.end(), c.begin(), c.end());
  Scratch scratch(ops_->context());
  T* f = scratch.take<T>(2 * places());
  ops_->context().to_device(factors.data(), f, static_cast<Index>(factors.size() * sizeof(T)));
  ops_->axpby(n_, static_cast<T>(-scale_), g, T(0), v);
  ops_->gemm({1, n_, places(), f, places(), false, y_.data(), n_, false, v, n_, T(1), T(1)});
  ops_->gemm({1, n_, places(), f + places(), places(), false, s_.data(), n_, false, v, n_, T(1), T(1)});
}

template class LbfgsPairs<float>;
template class LbfgsPairs<double>;

}  // namespace hso::detail
