// SPDX-License-Identifier: Apache-2.0
#include "optim/model_cg.hpp"

namespace hso::detail {

const char* name_of(ModelCgStop stop) {
  static const char* const kWords[] = {"residual", "progress",           "iterations",
                                       "boundary", "negative_curvature", "not_finite"};
  return kWords[static_cast<std::size_t>(stop)];
}

template <class T>
void ModelCg<T>::make_room(Context& context, Index n, bool preconditioned) {
  ops_ = &context.ops<T>();
  n_ = n;
  for (Buffer<T>* b : {&x_, &r_, &p_, &ap_}) *b = Buffer<T>(context, n);
  if (preconditioned) z_ = Buffer<T>(context, n);
  kept_ = Buffer<T>(context, checked_multiply(o_.kept, n));
  kept_at_.assign(static_cast<std::size_t>(o_.kept), 0);
  phi_.reserve(static_cast<std::size_t>(std::min<Index>(o_.iterations, 4096)) + 1);
}

/// x, r = -(g + (A + delta I) x), and phi(x) = x'(g - r) / 2.
template <class T>
void ModelCg<T>::begin(LinearOperator<T>& a, double delta, const T* g, const T* start) {
  ops_->axpby(n_, T(-1), g, T(0), r_.data());
  if (start == nullptr) return ops_->fill(n_, T(0), x_.data());
  ops_->copy(n_, start, x_.data());
  apply(a, delta, x_.data());
  ops_->axpby(n_, T(-1), ap_.data(), T(1), r_.data());
  result_.phi = (ops_->dot(n_, x_.data(), g) - ops_->dot(n_, x_.data(), r_.data())) / 2;
}

template <class T>
void ModelCg<T>::apply(LinearOperator<T>& a, double delta, const T* v) {
  a.apply(vector_view(v, n_), ap_.view());
  if (delta != 0) ops_->axpby(n_, static_cast<T>(delta), v, T(1), ap_.data());
  ++result_.products;
}

template <class T>
const T* ModelCg<T>::preconditioned(LinearOperator<T>* inverse) {
  if (inverse == nullptr) return r_.data();
  inverse->apply(vector_view<const T>(r_.data(), n_), z_.view());
  return z_.data();
}

template <class T>
ModelCgResult ModelCg<T>::minimize(LinearOperator<T>& a, double delta, const T* g, LinearOperator<T>* inverse,
                                   const T* start, double radius) {
  result_ = {};
  stored_ = handed_out_ = 0;
  next_kept_ = 1;
  begin(a, delta, g, start);
  phi_.assign(1, result_.phi);
  const double size = ops_->nrm2(n_, g);
  const T* z = preconditioned(inverse);
  double rz = ops_->dot(n_, r_.data(), z);
  ops_->copy(n_, z, p_.data());
  Norms norms{0, 0, rz};
  while (!ended(size, rz)) {
    apply(a, delta, p_.data());
    const double bend = ops_->dot(n_, p_.data(), ap_.data()), pp = ops_->dot(n_, p_.data(), p_.data());
    result_.rayleigh = std::max(result_.rayleigh, bend / pp - delta);
    double length = rz / bend;
    ++result_.iterations;
    if (!std::isfinite(bend)) return stop(ModelCgStop::not_finite);
    const bool outside = std::isfinite(radius) && (bend <= 0 || norms.after(length) > radius);
    if (outside) length = norms.exit(radius);
    if (!outside && bend <= 0) return stop(o_.definite ? ModelCgStop::residual : ModelCgStop::negative_curvature);
    if (!std::isfinite(static_cast<T>(length))) return stop(ModelCgStop::not_finite);
    advance(length, rz, bend);
    result_.norm = outside ? radius : norms.after(length);
    if (outside) return stop(ModelCgStop::boundary);
    z = preconditioned(inverse);
    const double next = ops_->dot(n_, r_.data(), z), share = next / rz;
    ops_->axpby(n_, T(1), z, static_cast<T>(share), p_.data());
    norms.turn(length, share, next);
    rz = next;
  }
  return result_;
}

/// x += length p, and phi changes by -length r'p + length^2 p'(A + delta I)p / 2, r'p = r'z.
template <class T>
void ModelCg<T>::advance(double length, double rz, double bend) {
  ops_->axpby(n_, static_cast<T>(length), p_.data(), T(1), x_.data());
  ops_->axpby(n_, static_cast<T>(-length), ap_.data(), T(1), r_.data());
  result_.phi += length * (length * bend / 2 - rz);
  phi_.push_back(result_.phi);
  if (o_.kept == 0 || result_.iterations < next_kept_) return;
  ops_->copy(n_, x_.data(), kept_.data() + stored_ % o_.kept * n_);
  kept_at_[static_cast<std::size_t>(stored_++ % o_.kept)] = result_.iterations;
  next_kept_ = std::max(next_kept_ + 1, static_cast<Index>(std::ceil(1.3 * static_cast<double>(next_kept_))));
}

/// Before each iteration.
template <class T>
bool ModelCg<T>::ended(double size, double rz) {
  const double residual = ops_->nrm2(n_, r_.data());
  if (!std::isfinite(residual) || !std::isfinite(rz)) return stop(ModelCgStop::not_finite), true;
  if (residual <= o_.tolerance * size || !(rz > 0)) return stop(ModelCgStop::residual), true;
  const Index i = result_.iterations, k = std::max<Index>(10, (i + 9) / 10);
  if (i > k && result_.phi < 0) {
    const double gained = phi_[static_cast<std::size_t>(i - k)] - result_.phi;
    if (gained < -result_.phi * static_cast<double>(k) * o_.progress) return stop(ModelCgStop::progress), true;
  }
  return i >= o_.iterations;
}

template <class T>
ModelCgResult ModelCg<T>::stop(ModelCgStop why) {
  result_.stop = why;
  return result_;
}

template <class T>
const T* ModelCg<T>::earlier() {
  while (handed_out_ < std::min(stored_, o_.kept)) {
    const Index row = (stored_ - ++handed_out_) % o_.kept;
    if (kept_at_[static_cast<std::size_t>(row)] < result_.iterations) return kept_.data() + row * n_;
  }
  return nullptr;
}

template class ModelCg<float>;
template class ModelCg<double>;

}  // namespace hso::detail
