// SPDX-License-Identifier: Apache-2.0
//
// An objective that counts what is asked of another one.
#pragma once

#include <cmath>
#include <optional>

#include "hsogpu/objective/adapters.hpp"

namespace hso::detail {

struct Counts {
  std::int64_t values = 0, gradients = 0, products = 0, hessians = 0;
  bool fell_forever = false;           ///< a value was -infinity
  std::optional<Curvature> kind = {};  ///< that was asked for last
  std::int64_t all() const { return values + gradients + products + hessians; }
};

template <class T>
class CountingOperator final : public LinearOperator<T> {
 public:
  CountingOperator(std::unique_ptr<LinearOperator<T>> base, Counts& counts) : base_(std::move(base)), counts_(counts) {}
  Context& context() const override { return base_->context(); }
  Index dimension() const override { return base_->dimension(); }
  Index lanes() const override { return base_->lanes(); }
  void apply(View<const T> v, View<T> hv) override {
    counted(v.lanes, [&] { base_->apply(v, hv); });
  }
  void to_dense(T* h) override {
    counted(dimension(), [&] { base_->to_dense(h); });
  }
  void diagonal_block(Index begin, Index b, T* h) override {
    counted(b, [&] { base_->diagonal_block(begin, b, h); });
  }
  double relative_error() const override { return base_->relative_error(); }
  std::int64_t gradients() const override { return base_->gradients(); }
  bool stored() const override { return base_->stored(); }

 private:
  /// What is at hand costs nothing, a product by differences the gradients that the operator says.
  template <class Work>
  void counted(Index products, const Work& work) {
    const bool at_hand = stored();
    const std::int64_t before = gradients();
    work();
    if (const std::int64_t found = gradients() - before; found > 0)
      counts_.gradients += found;
    else if (!at_hand)
      counts_.products += products;
  }
  std::unique_ptr<LinearOperator<T>> base_;
  Counts& counts_;
};

template <class T>
class CountingObjective final : public ObjectiveAdapter<T> {
 public:
  CountingObjective(Objective<T>& base, Counts& counts) : ObjectiveAdapter<T>(base), counts_(counts) {}
  double value(const T* theta) override {
    ++counts_.values;
    return seen(this->inside().value(theta));
  }
  double finish(const T*, double value, T*) override {
    ++counts_.gradients;
    return seen(value);
  }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override {
    auto made = this->inside().curvature(theta, kind);
    if (kind == Curvature::ggn && made->stored()) ++counts_.gradients;  // a Jacobian of its own
    return counted(std::move(made), kind);
  }
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override {
    auto made = ObjectiveAdapter<T>::linearize(theta, g, kind);
    return {made.value, counted(std::move(made.curvature), kind)};
  }

 private:
  double seen(double value) {
    counts_.fell_forever = counts_.fell_forever || value == -INFINITY;
    return value;
  }
  /// Factored kinds are returned as they are and not counted: preconditioners ask for their factors or entries.
  std::unique_ptr<LinearOperator<T>> counted(std::unique_ptr<LinearOperator<T>> made, Curvature kind) {
    counts_.kind = kind;
    if (kind == Curvature::hessian && made->stored()) ++counts_.hessians;
    if (kind == Curvature::kfac || kind == Curvature::ekfac || kind == Curvature::diagonal) return made;
    return std::make_unique<CountingOperator<T>>(std::move(made), counts_);
  }
  Counts& counts_;
};

}  // namespace hso::detail
