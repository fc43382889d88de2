// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "optim/preconditioned/slices.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

/// Entries of theta in `count` groups of `size`, each of which has one mean.
struct Groups {
  Index offset, count, size;
};

std::vector<Groups> groups_of(const std::vector<ParameterSlice>& layout, SpatialAverage spatial) {
  std::vector<Groups> out;
  for (const ParameterSlice& s : layout) {
    const int rank = s.shape.rank();
    if (rank < 2 || spatial == SpatialAverage::none) continue;
    const Index count = spatial == SpatialAverage::row ? s.shape[0] : s.shape[0] * s.shape[1];
    if (count < s.size()) out.push_back({s.offset, count, s.size() / count});
  }
  return out;
}

template <class T>
class AdaHessian final : public Descent<T> {
 public:
  explicit AdaHessian(const AdaHessianOptions& o)
      : Descent<T>("adahessian"), o_(o), spatial_(o.spatial), kind_(o.curvature) {
    require_option(o.rate > 0, "adahessian", "rate", o.rate, "above 0");
    require_option(o.beta1 >= 0 && o.beta1 < 1, "adahessian", "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, "adahessian", "beta2", o.beta2, "in [0, 1)");
    require_option(o.epsilon > 0, "adahessian", "epsilon", o.epsilon, "above 0");
    require_option(o.power > 0 && o.power <= 1, "adahessian", "power", o.power, "in (0, 1]");
    require_option(o.refresh >= 1, "adahessian", "refresh", o.refresh, "at least 1");
  }

 private:
  Index vectors() const override { return 7; }
  void start(Objective<T>& objective) override {
    for (Buffer<T>* b : {&mean_, &square_, &diagonal_, &probe_})
      *b = zeros<T>(objective.context(), objective.dimension());
    groups_ = groups_of(objective.layout(), spatial_);
    steps_ = 0;
  }
  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("steps", steps_);
    state("mean", mean_);
    state("square", square_);
    state("diagonal", diagonal_);  // of the last refresh
  }
  bool due() const { return steps_ % o_.refresh == 0; }

  double evaluate(Objective<T>& objective, const T* theta, T* gradient) override {
    if (!due()) return objective.gradient(theta, gradient);
    operator_.reset();  // its vector serves the next one
    auto [value, curvature] = objective.linearize(theta, gradient, kind_);
    operator_ = std::move(curvature);
    return value;
  }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport& report) override {
    auto& ops = objective.context().template ops<T>();
    if (due()) {
      estimate(ops);
      report.products = 1;
      if (!std::isfinite(ops.max_abs(diagonal_.size(), diagonal_.data()))) {
        report.status = StepStatus::not_finite;
        report.message = "the diagonal of the curvature is not finite";
        return;
      }
    }
    ++steps_;
    const double c1 = 1 - std::pow(o_.beta1, steps_), c2 = 1 - std::pow(o_.beta2, steps_);
    ops.for_each(1, mean_.size(),
                 AdaHessianStep<T>{g, diagonal_.data(), mean_.data(), square_.data(), step, static_cast<T>(o_.rate),
                                   static_cast<T>(o_.beta1), static_cast<T>(o_.beta2), static_cast<T>(o_.epsilon),
                                   static_cast<T>(o_.power), static_cast<T>(c1), static_cast<T>(c2)});
  }

  /// diagonal = z o Az, its groups averaged.
  void estimate(Ops<T>& ops) {
    const Index n = probe_.size();
    ops.for_each(1, n,
                 RandomFill<T>{probe_.data(), o_.seed, std::uint64_t(steps_), Distribution::rademacher, 0.0, 1.0});
    operator_->apply(vector_view<const T>(probe_.data(), n), diagonal_.view());
    ops.for_each(1, n, Scale<T>{probe_.data(), diagonal_.data(), n, diagonal_.data(), n, false});
    for (const Groups& g : groups_) average(ops, g);
  }
  void average(Ops<T>& ops, const Groups& g) {
    T* d = diagonal_.data() + g.offset;
    Scratch scratch(ops.context());
    T* means = scratch.take<T>(g.count);
    ops.sum_columns({1, g.count, g.size, d, g.count * g.size, means, g.count, T(0)});
    ops.fill(g.count * g.size, T(1) / static_cast<T>(g.size), d);
    ops.for_each(g.count, g.size, ScaleRows<T>{means, d, d, g.size});
  }

  AdaHessianOptions o_;
  SpatialAverage spatial_;
  Curvature kind_;
  std::vector<Groups> groups_;
  Buffer<T> mean_, square_, diagonal_, probe_;
  std::unique_ptr<LinearOperator<T>> operator_;
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_adahessian(const AdaHessianOptions& options) {
  return std::make_unique<detail::AdaHessian<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_adahessian(const AdaHessianOptions&);
template std::unique_ptr<Optimizer<double>> make_adahessian(const AdaHessianOptions&);

}  // namespace hso
