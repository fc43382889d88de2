// SPDX-License-Identifier: Apache-2.0
//
// An objective that counts what is asked of another one.
#pragma once

#include <cmath>

#include "hsogpu/objective_around.hpp"

namespace hso::detail {

struct Counts {
  std::int64_t values = 0, gradients = 0, products = 0;
  bool fell_forever = false;  ///< a value was -infinity
  std::int64_t all() const { return values + gradients + products; }
};

template <class T>
class CountingOperator final : public LinearOperator<T> {
 public:
  CountingOperator(std::unique_ptr<LinearOperator<T>> base, Counts& counts) : base_(std::move(base)), counts_(counts) {}
  Context& context() const override { return base_->context(); }
  Index dimension() const override { return base_->dimension(); }
  Index lanes() const override { return base_->lanes(); }
  void apply(View<const T> v, View<T> hv) override {
    counts_.products += v.lanes;
    base_->apply(v, hv);
  }
  void to_dense(T* h) override {
    counts_.products += dimension();
    base_->to_dense(h);
  }
  void diagonal_block(Index begin, Index b, T* h) override {
    counts_.products += b;
    base_->diagonal_block(begin, b, h);
  }

 private:
  std::unique_ptr<LinearOperator<T>> base_;
  Counts& counts_;
};

template <class T>
class CountingObjective final : public ObjectiveAround<T> {
 public:
  CountingObjective(Objective<T>& base, Counts& counts) : ObjectiveAround<T>(base), counts_(counts) {}
  double value(const T* theta) override {
    ++counts_.values;
    return seen(this->inside().value(theta));
  }
  double finish(const T*, double value, T*) override {
    ++counts_.gradients;
    return seen(value);
  }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override {
    return counted(this->inside().curvature(theta, kind), kind);
  }
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override {
    auto made = ObjectiveAround<T>::linearize(theta, g, kind);
    return {made.value, counted(std::move(made.curvature), kind)};
  }

 private:
  double seen(double value) {
    counts_.fell_forever = counts_.fell_forever || value == -INFINITY;
    return value;
  }
  /// Factored kinds stay what they are: their owners look inside.
  std::unique_ptr<LinearOperator<T>> counted(std::unique_ptr<LinearOperator<T>> made, Curvature kind) {
    if (kind == Curvature::kfac || kind == Curvature::ekfac || kind == Curvature::diagonal) return made;
    return std::make_unique<CountingOperator<T>>(std::move(made), counts_);
  }
  Counts& counts_;
};

}  // namespace hso::detail
