// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "optim/preconditioned/axis_numbers.hpp"
#include "optim/preconditioned/slices.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

/// The statistics of one axis of a slice and their root: [extent][extent], or a diagonal [extent].
template <class T>
struct Axis {
  Axis(Context& context, Index length, bool is_full)
      : extent(length), full(is_full), sum(zeros<T>(context, size())), root(context, size()) {}
  Index size() const { return full ? extent * extent : extent; }
  Index extent;
  bool full;
  Buffer<T> sum, root;
};

template <class T>
class Shampoo final : public Descent<T> {
 public:
  explicit Shampoo(const ShampooOptions& o) : Descent<T>("shampoo"), o_(o) {
    require_option(o.rate > 0, "shampoo", "rate", o.rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, "shampoo", "momentum", o.momentum, "in [0, 1)");
    require_option(o.beta >= 0 && o.beta <= 1, "shampoo", "beta", o.beta, "in [0, 1]; 1 sums");
    require_option(o.epsilon > 0, "shampoo", "epsilon", o.epsilon, "above 0");
    require_option(o.refresh >= 1, "shampoo", "refresh", o.refresh, "at least 1");
    require_option(o.max_dimension >= 1, "shampoo", "max_dimension", o.max_dimension, "at least 1");
  }
  /// Statistics and roots of every axis, twice for a step back.
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return Descent<T>::bytes(context, layout) +
           checked_multiply(4 * axis_numbers(layout, o_.max_dimension, true), static_cast<Index>(sizeof(T)));
  }

 private:
  /// A vector has columns alone.
  struct Part {
    ParameterSlice slice;
    std::vector<Axis<T>> axes;
    Axis<T>* rows() { return axes.size() == 2 ? &axes[0] : nullptr; }
    Axis<T>& columns() { return axes.back(); }
    double exponent() const { return -0.5 / static_cast<double>(axes.size()); }
  };

  void start(Objective<T>& objective) override {
    Context& context = objective.context();
    parts_.clear();
    steps_ = 0;
    for (const ParameterSlice& s : objective.layout()) {
      parts_.push_back({s, {}});
      const Index m = s.is_matrix() ? s.rows() : 1;
      if (m > 1) parts_.back().axes.emplace_back(context, m, m <= o_.max_dimension);
      parts_.back().axes.emplace_back(context, s.size() / m, s.size() / m <= o_.max_dimension);
    }
    ball_.start(context, objective.dimension());
  }

  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("steps", steps_);
    ball_.visit_state(state);
    state.parts("slice", parts_.size(), [&](std::size_t i) {
      state.parts("axis", parts_[i].axes.size(), [&](std::size_t j) {
        state("sum", parts_[i].axes[j].sum);
        state("root", parts_[i].axes[j].root);
      });
    });
  }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport& report) override {
    Context& context = objective.context();
    auto& ops = context.template ops<T>();
    const bool refresh = steps_ % o_.refresh == 0;
    for (Part& p : parts_) {
      const T* slice = g + p.slice.offset;
      gather(ops, p, slice);
      if (refresh)
        for (Axis<T>& axis : p.axes)
          if (std::string why = take_root(context, axis, p.exponent()); !why.empty()) {
            report.status = StepStatus::singular;
            report.message = fmt::format("statistics of '{}': {}", p.slice.name, why);
            return;
          }
      precondition(ops, p, slice, step + p.slice.offset);
      if (o_.graft == Grafting::sgd) graft(ops, p.slice.size(), slice, step + p.slice.offset);
    }
    ++steps_;
    ball_.propose(ops, o_.rate, o_.momentum, step);
  }
  void commit(Ops<T>& ops) override { ball_.commit(ops); }

  void gather(Ops<T>& ops, Part& p, const T* g) {
    const Index n = p.columns().extent, m = p.slice.size() / n;
    const double share = o_.beta < 1 ? 1 - o_.beta : 1;
    Scratch scratch(ops.context());
    T* squares = scratch.take<T>(m * n);
    const bool diagonal = !p.columns().full || (p.rows() != nullptr && !p.rows()->full);
    if (diagonal) {
      ops.for_each(1, m * n, Square<T>{g, squares});
      ops.axpby(m * n, T(0), squares, static_cast<T>(share), squares);
    }
    const auto beta = static_cast<T>(o_.beta);
    if (p.columns().full)
      columns_gram(ops, m, n, g, share, o_.beta, p.columns().sum.data());
    else
      ops.sum_rows({1, m, n, squares, m * n, p.columns().sum.data(), n, beta});
    if (p.rows() == nullptr) return;
    if (p.rows()->full)
      rows_gram(ops, m, n, g, share, o_.beta, p.rows()->sum.data());
    else
      ops.sum_columns({1, m, n, squares, m * n, p.rows()->sum.data(), m, beta});
  }

  /// root = (sum + epsilon I)^exponent; what it returns says why there is none.
  std::string take_root(Context& context, Axis<T>& axis, double exponent) {
    auto& ops = context.ops<T>();
    if (!axis.full) {
      ops.for_each(
          1, axis.extent,
          ShiftedPower<T>{axis.sum.data(), axis.root.data(), static_cast<T>(o_.epsilon), static_cast<T>(exponent)});
      return {};
    }
    Scratch scratch(context);
    T* vectors = scratch.take<T>(axis.size());
    ops.copy(axis.size(), axis.sum.data(), vectors);
    EighResult e = eigh(context, View<T>{vectors, {axis.extent, axis.extent}});
    if (!e.ok()) return name_of(e.status);
    for (double& value : e.values) value = std::pow(std::max(value, 0.0) + o_.epsilon, exponent);
    from_spectrum<T>(context, axis.extent, vectors, e.values, axis.root.data());
    return {};
  }

  void precondition(Ops<T>& ops, Part& p, const T* g, T* out) {
    const Index n = p.columns().extent, m = p.slice.size() / n;
    Scratch scratch(ops.context());
    T* between = scratch.take<T>(m * n);
    const bool two = p.rows() != nullptr;
    T* right = two ? between : out;
    if (p.columns().full)
      multiply_right(ops, m, n, g, p.columns().root.data(), false, right);
    else
      ops.for_each(m, n, Scale<T>{p.columns().root.data(), g, n, right, n, false});
    if (!two) return;
    if (p.rows()->full)
      multiply_left(ops, m, n, p.rows()->root.data(), false, right, out);
    else
      ops.for_each(m, n, ScaleRows<T>{p.rows()->root.data(), right, out, n});
  }

  static void graft(Ops<T>& ops, Index n, const T* g, T* step) {
    const double norm = ops.nrm2(n, step);
    if (norm > 0) ops.axpby(n, T(0), step, static_cast<T>(ops.nrm2(n, g) / norm), step);
  }

  ShampooOptions o_;
  std::vector<Part> parts_;
  HeavyBall<T> ball_;
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_shampoo(const ShampooOptions& options) {
  return std::make_unique<detail::Shampoo<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_shampoo(const ShampooOptions&);
template std::unique_ptr<Optimizer<double>> make_shampoo(const ShampooOptions&);

}  // namespace hso
