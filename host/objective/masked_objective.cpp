// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/adapters.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "io/shown_text.hpp"
#include "linalg/fitting.hpp"
#include "objective/mask_size.hpp"

namespace hso {

using detail::Keep;
using detail::Scratch;

namespace {

using Kept = std::shared_ptr<const Buffer<std::uint8_t>>;

/// P A P.
template <class T>
class MaskedOperator final : public LinearOperator<T> {
 public:
  MaskedOperator(std::unique_ptr<LinearOperator<T>> a, Kept kept) : a_(std::move(a)), kept_(std::move(kept)) {}
  Context& context() const override { return a_->context(); }
  Index dimension() const override { return a_->dimension(); }
  Index lanes() const override { return a_->lanes(); }
  double relative_error() const override { return a_->relative_error(); }
  std::int64_t gradients() const override { return a_->gradients(); }
  bool stored() const override { return a_->stored(); }

  void apply(View<const T> v, View<T> hv) override {
    detail::require_fitting(*this, v, hv, "masked curvature");
    const Index n = dimension();
    auto& ops = context().template ops<T>();
    Scratch scratch(context());
    T* masked = scratch.take<T>(v.lanes * n);
    ops.for_each(v.lanes, n, Keep<T>{kept_->data(), v.data, v.lane_stride, masked, n});
    a_->apply(vector_view<const T>(masked, n, v.lanes), hv);
    ops.for_each(v.lanes, n, Keep<T>{kept_->data(), hv.data, hv.lane_stride, hv.data, hv.lane_stride});
  }
  void to_dense(T* h) override {
    a_->to_dense(h);
    keep_block(0, dimension(), h);
  }
  void diagonal_block(Index begin, Index b, T* h) override {
    a_->diagonal_block(begin, b, h);
    keep_block(begin, b, h);
  }

 private:
  void keep_block(Index begin, Index b, T* h) {
    context().template ops<T>().for_each(b, b, detail::KeepBlock<T>{kept_->data() + begin, h, b});
  }
  std::unique_ptr<LinearOperator<T>> a_;
  Kept kept_;
};

bool is_factored(Curvature kind) {
  return kind == Curvature::kfac || kind == Curvature::ekfac || kind == Curvature::diagonal;
}

}  // namespace

template <class T>
MaskedObjective<T>::MaskedObjective(Objective<T>& inside, const Mask& mask, const MaskedOptions& options)
    : ObjectiveAdapter<T>(inside), options_(options) {
  if (!(options.l1 >= 0) || !std::isfinite(options.l1))
    throw UsageError(
        fmt::format("MaskedObjective: l1 = {}, expected a finite number, at least 0", unsigned_nan(options.l1)));
  if (mask.kept.empty()) return;
  detail::require_size("MaskedObjective", mask, inside.dimension());
  kept_ = std::make_shared<Buffer<std::uint8_t>>(inside.context(), Span<const std::uint8_t>(mask.kept));
  point_ = Buffer<T>(inside.context(), inside.dimension());
}

template <class T>
const T* MaskedObjective<T>::at_kept(const T* theta) {
  if (!kept_) return theta;
  const Index n = this->dimension();
  this->context().template ops<T>().for_each(1, n, Keep<T>{kept_->data(), theta, n, point_.data(), n});
  return point_.data();
}

template <class T>
double MaskedObjective<T>::penalty_at(const T* point) {
  if (options_.l1 == 0) return 0;
  const Index n = this->dimension();
  auto& ops = this->context().template ops<T>();
  Scratch scratch(this->context());
  T* signs = scratch.take<T>(n);
  ops.for_each(1, n, detail::Signs<T>{T(1), point, signs, false});
  return options_.l1 * ops.dot(n, signs, point);
}

template <class T>
double MaskedObjective<T>::finish_at(const T* point, double value, T* gradient) {
  const Index n = this->dimension();
  auto& ops = this->context().template ops<T>();
  if (kept_) ops.for_each(1, n, Keep<T>{kept_->data(), gradient, n, gradient, n});
  if (options_.l1 == 0) return value;
  ops.for_each(1, n, detail::Signs<T>{static_cast<T>(options_.l1), point, gradient, true});
  return value + penalty_at(point);
}

template <class T>
double MaskedObjective<T>::penalty(const T* theta) {
  return options_.l1 == 0 ? 0 : penalty_at(at_kept(theta));
}

template <class T>
double MaskedObjective<T>::finish(const T* theta, double value, T* gradient) {
  return finish_at(at_kept(theta), value, gradient);
}

template <class T>
double MaskedObjective<T>::value(const T* theta) {
  const T* point = at_kept(theta);
  const double value = this->inside().value(point);
  return value + penalty_at(point);
}

template <class T>
double MaskedObjective<T>::gradient(const T* theta, T* g) {
  const T* point = at_kept(theta);
  const double value = this->inside().gradient(point, g);
  return finish_at(point, value, g);
}

template <class T>
std::unique_ptr<LinearOperator<T>> MaskedObjective<T>::masked(std::unique_ptr<LinearOperator<T>> a,
                                                              Curvature kind) const {
  if (!kept_ || is_factored(kind)) return a;
  return std::make_unique<MaskedOperator<T>>(std::move(a), kept_);
}

template <class T>
std::unique_ptr<LinearOperator<T>> MaskedObjective<T>::curvature(const T* theta, Curvature kind) {
  return masked(this->inside().curvature(at_kept(theta), kind), kind);
}

template <class T>
typename Objective<T>::Linearized MaskedObjective<T>::linearize(const T* theta, T* g, Curvature kind) {
  const T* point = at_kept(theta);
  auto [value, curvature] = this->inside().linearize(point, g, kind);
  return {finish_at(point, value, g), masked(std::move(curvature), kind)};
}

template <class T>
bool MaskedObjective<T>::announce_gradient(std::vector<std::uintptr_t>& key, Index products, Curvature kind) {
  if (is_factored(kind) || !this->inside().announce_gradient(key, products, kind)) return false;
  key.insert(key.end(), {reinterpret_cast<std::uintptr_t>(point_.data()), std::bit_cast<std::uint64_t>(options_.l1),
                         kept_ ? reinterpret_cast<std::uintptr_t>(kept_->data()) : 0});
  return true;
}

template <class T>
void MaskedObjective<T>::gradient_on_device(const T* theta, T* g, double* value) {
  const T* point = at_kept(theta);
  this->inside().gradient_on_device(point, g, value);
  const Index n = this->dimension();
  auto& ops = this->context().template ops<T>();
  if (kept_) ops.for_each(1, n, Keep<T>{kept_->data(), g, n, g, n});
  if (options_.l1 == 0) return;
  ops.for_each(1, n, detail::Signs<T>{static_cast<T>(options_.l1), point, g, true});
  Scratch scratch(this->context());
  T* signs = scratch.take<T>(n);
  double* sum = scratch.take<double>(1);
  ops.for_each(1, n, detail::Signs<T>{T(1), point, signs, false});
  ops.dots_on_device(1, n, signs, n, point, n, sum);
  ops.for_each(1, 1, detail::CombineNumbers<T>{options_.l1, sum, 0, sum});
  ops.for_each(1, 1, detail::CombineNumbers<T>{1, sum, 1, value});
}

template <class T>
void MaskedObjective<T>::product_on_device(Curvature kind, const T* v, T* hv) {
  if (!kept_) return this->inside().product_on_device(kind, v, hv);
  const Index n = this->dimension();
  auto& ops = this->context().template ops<T>();
  Scratch scratch(this->context());
  T* masked = scratch.take<T>(n);
  ops.for_each(1, n, Keep<T>{kept_->data(), v, n, masked, n});
  this->inside().product_on_device(kind, masked, hv);
  ops.for_each(1, n, Keep<T>{kept_->data(), hv, n, hv, n});
}

template <class T>
Index MaskedObjective<T>::bytes(Index n) {
  return checked_multiply(n, 3 * static_cast<Index>(sizeof(T)) + 1);
}

template class MaskedObjective<float>;
template class MaskedObjective<double>;

}  // namespace hso
