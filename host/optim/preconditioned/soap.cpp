// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "optim/preconditioned/axis_numbers.hpp"
#include "optim/preconditioned/slices.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Soap final : public Descent<T> {
 public:
  explicit Soap(const SoapOptions& o) : Descent<T>("soap"), o_(o) {
    require_option(o.rate > 0, "soap", "rate", o.rate, "above 0");
    require_option(o.beta1 >= 0 && o.beta1 < 1, "soap", "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, "soap", "beta2", o.beta2, "in [0, 1)");
    require_option(o.shampoo_beta >= 0 && o.shampoo_beta < 1, "soap", "shampoo_beta", o.shampoo_beta, "in [0, 1)");
    require_option(o.epsilon > 0, "soap", "epsilon", o.epsilon, "above 0");
    require_option(o.refresh >= 1, "soap", "refresh", o.refresh, "at least 1");
    require_option(o.max_dimension >= 1, "soap", "max_dimension", o.max_dimension, "at least 1");
  }
  /// Statistics and eigenvectors of every axis, twice for a step back.
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return Descent<T>::bytes(context, layout) +
           checked_multiply(4 * axis_numbers(layout, o_.max_dimension, false), static_cast<Index>(sizeof(T)));
  }

 private:
  /// statistics [k][k] and their eigenvectors, the rows of q; both empty where the axis is not rotated.
  struct Axis {
    Buffer<T> sum, q;
    bool rotates() const { return q.size() > 0; }
  };
  struct Part {
    ParameterSlice slice;
    Axis rows, columns;
  };

  Axis axis_of(Context& context, Index extent) const {
    if (extent > o_.max_dimension) return {};
    return {zeros<T>(context, extent * extent), Buffer<T>(context, extent * extent)};
  }
  void start(Objective<T>& objective) override {
    Context& context = objective.context();
    parts_.clear();
    steps_ = 0;
    for (const ParameterSlice& s : objective.layout()) {
      parts_.push_back({s, {}, {}});
      if (!s.is_matrix()) continue;
      parts_.back().rows = axis_of(context, s.rows());
      parts_.back().columns = axis_of(context, s.columns());
    }
    mean_ = zeros<T>(context, objective.dimension());
    square_ = zeros<T>(context, objective.dimension());
  }

  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("steps", steps_);
    state("mean", mean_);
    state("square", square_);
    state.parts("slice", parts_.size(), [&](std::size_t i) {
      for (auto [name, axis] : {std::pair{"rows", &parts_[i].rows}, {"columns", &parts_[i].columns}}) {
        if (!axis->rotates()) continue;
        state(std::string(name) + ".sum", axis->sum);
        state(std::string(name) + ".q", axis->q);
      }
    });
  }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport& report) override {
    Context& context = objective.context();
    auto& ops = context.template ops<T>();
    if (steps_ == 0) {
      gather(ops, g);
      if (report.message = decompose(context); !report.message.empty()) {
        start(objective);
        report.status = StepStatus::singular;
        return;
      }
    }
    ++steps_;
    ops.axpby(mean_.size(), static_cast<T>(1 - o_.beta1), g, static_cast<T>(o_.beta1), mean_.data());
    for (const Part& p : parts_) move(ops, p, g, step);
    ops.axpby(mean_.size(), T(0), step, static_cast<T>(-o_.rate), step);
    if (steps_ > 1) gather(ops, g);
    if (steps_ % o_.refresh == 0) report.message = decompose(context);
  }

  void gather(Ops<T>& ops, const T* g) {
    const double keep = o_.shampoo_beta;
    for (Part& p : parts_) {
      const Index m = p.slice.rows(), n = p.slice.columns();
      const T* slice = g + p.slice.offset;
      if (p.rows.rotates()) rows_gram(ops, m, n, slice, 1 - keep, keep, p.rows.sum.data());
      if (p.columns.rotates()) columns_gram(ops, m, n, slice, 1 - keep, keep, p.columns.sum.data());
    }
  }
  /// New bases; what it returns says where the old one stays.
  std::string decompose(Context& context) {
    auto& ops = context.ops<T>();
    for (Part& p : parts_)
      for (auto [axis, extent] : {std::pair{&p.rows, p.slice.rows()}, {&p.columns, p.slice.columns()}}) {
        if (!axis->rotates()) continue;
        Scratch scratch(context);
        T* q = scratch.take<T>(extent * extent);
        ops.copy(extent * extent, axis->sum.data(), q);
        const EighResult e = eigh(context, View<T>{q, {extent, extent}});
        if (!e.ok()) return fmt::format("no eigenbasis of the statistics of '{}': {}", p.slice.name, name_of(e.status));
        ops.copy(extent * extent, q, axis->q.data());
      }
    return {};
  }

  void move(Ops<T>& ops, const Part& p, const T* g, T* step) {
    const Index m = p.slice.rows(), n = p.slice.columns(), at = p.slice.offset;
    Scratch scratch(ops.context());
    T* g_rotated = scratch.take<T>(m * n);
    T* m_rotated = scratch.take<T>(m * n);
    T* between = scratch.take<T>(m * n);
    rotate(ops, p, g + at, false, between, g_rotated);
    rotate(ops, p, mean_.data() + at, false, between, m_rotated);
    const double c1 = 1 - std::pow(o_.beta1, steps_), c2 = 1 - std::pow(o_.beta2, steps_);
    ops.for_each(1, m * n,
                 SecondMomentQuotient<T>{g_rotated, m_rotated, square_.data() + at, m_rotated, static_cast<T>(o_.beta2),
                                         static_cast<T>(o_.epsilon), static_cast<T>(c1), static_cast<T>(c2)});
    rotate(ops, p, m_rotated, true, between, step + at);
  }
  /// y = Ql x Qr', or back: Ql' x Qr.
  static void rotate(Ops<T>& ops, const Part& p, const T* x, bool back, T* between, T* y) {
    const Index m = p.slice.rows(), n = p.slice.columns();
    const T* half = x;
    if (p.columns.rotates()) {
      T* to = p.rows.rotates() ? between : y;
      multiply_right(ops, m, n, x, p.columns.q.data(), !back, to);
      half = to;
    }
    if (p.rows.rotates())
      multiply_left(ops, m, n, p.rows.q.data(), back, half, y);
    else if (half == x)
      ops.copy(m * n, x, y);
  }

  SoapOptions o_;
  std::vector<Part> parts_;
  Buffer<T> mean_, square_;
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_soap(const SoapOptions& options) {
  return std::make_unique<detail::Soap<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_soap(const SoapOptions&);
template std::unique_ptr<Optimizer<double>> make_soap(const SoapOptions&);

}  // namespace hso
