// SPDX-License-Identifier: Apache-2.0
//
// The dense curvature at a point, kept for the next time it is asked for there: scores that are compared on one network
// share it.
#pragma once

#include <memory>
#include <vector>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/adapters.hpp"

namespace hso::detail {

/// Host memory, any precision.
struct DenseCurvature {
  Curvature kind{};
  std::vector<double> theta, matrix;
};

template <class T>
class RememberedCurvature final : public ObjectiveAdapter<T> {
 public:
  /// Keeps one matrix in `memory`, which may be null and outlives this.
  RememberedCurvature(Objective<T>& inside, DenseCurvature* memory) : ObjectiveAdapter<T>(inside), memory_(memory) {}
  double finish(const T*, double value, T*) override { return value; }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override {
    auto made = this->inside().curvature(theta, kind);
    if (memory_ == nullptr) return made;
    std::vector<T> at(static_cast<std::size_t>(this->dimension()));
    this->context().to_host(theta, at.data(), static_cast<Index>(at.size() * sizeof(T)));
    return std::make_unique<Operator>(std::move(made), *memory_, kind, std::vector<double>(at.begin(), at.end()));
  }

 private:
  class Operator final : public LinearOperator<T> {
   public:
    Operator(std::unique_ptr<LinearOperator<T>> inside, DenseCurvature& memory, Curvature kind,
             std::vector<double> theta)
        : inside_(std::move(inside)), memory_(memory), kind_(kind), theta_(std::move(theta)) {}
    Context& context() const override { return inside_->context(); }
    Index dimension() const override { return inside_->dimension(); }
    Index lanes() const override { return inside_->lanes(); }
    void apply(View<const T> v, View<T> hv) override { inside_->apply(v, hv); }
    void diagonal_block(Index begin, Index b, T* h) override { inside_->diagonal_block(begin, b, h); }
    void to_dense(T* h) override {
      const auto count = static_cast<std::size_t>(dimension() * dimension());
      std::vector<T> values(count);
      const auto bytes = static_cast<Index>(count * sizeof(T));
      if (memory_.kind == kind_ && memory_.theta == theta_ && memory_.matrix.size() == count) {
        values.assign(memory_.matrix.begin(), memory_.matrix.end());
        return context().to_device(values.data(), h, bytes);
      }
      inside_->to_dense(h);
      context().to_host(h, values.data(), bytes);
      memory_ = {kind_, theta_, {values.begin(), values.end()}};
    }

   private:
    std::unique_ptr<LinearOperator<T>> inside_;
    DenseCurvature& memory_;
    Curvature kind_;
    std::vector<double> theta_;
  };
  DenseCurvature* memory_;
};

}  // namespace hso::detail
