// SPDX-License-Identifier: Apache-2.0
//
// What optimizers see: a function with a gradient and a curvature. A network on a data set is one
// (network_objective.hpp), a user's own function another. All vectors are device memory of the objective's context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hsogpu/core/context.hpp"
#include "hsogpu/graph/curvature.hpp"
#include "hsogpu/linalg/linear_operator.hpp"

namespace hso {

/// One tensor of theta. Methods that treat matrices see it as [rows][columns]: the first extent by all the others, so
/// that a filter of a convolution is a row, [out][in kh kw]; a vector is one row.
struct ParameterSlice {
  std::string name;
  Index offset = 0;
  Shape shape;
  Index size() const { return shape.size(); }
  Index rows() const { return shape.rank() < 2 ? 1 : shape[0]; }
  Index columns() const { return shape.rank() < 2 ? size() : size() / shape[0]; }
  bool is_matrix() const { return rows() > 1 && columns() > 1; }
};

template <class T>
class NetworkObjective;

template <class T>
class Objective {
 public:
  virtual ~Objective() = default;
  virtual Context& context() const = 0;
  virtual Index dimension() const = 0;
  /// theta as tensors: disjoint slices in order that cover all of it. The default is one vector.
  virtual std::vector<ParameterSlice> layout() const;
  virtual double value(const T* theta) = 0;
  /// Queues *value (device memory) := the value, so that values at several points can be read together. The default
  /// asks value(), which may wait.
  virtual void value_on_device(const T* theta, double* value);
  /// g is overwritten; returns the value.
  virtual double gradient(const T* theta, T* g) = 0;
  /// The curvature matrix at theta. It refers to the objective and may share its buffers: of a network's operators in
  /// turn each linearises again when another was used in between.
  /// The default differentiates the gradient.
  virtual std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind);

  // What an objective is made of, for methods that read a network's layers (kfac, ekfac, hso.kfac, sophia with gnb).
  /// The network objective that this is or whose value and gradient it changes; null: there is none.
  virtual NetworkObjective<T>* network() { return nullptr; }
  /// The value, and in g the gradient, of this objective, from those of network() at theta.
  virtual double finish_gradient(const T* /*theta*/, double value, T* /*g*/) { return value; }
  /// The objective whose rows the curvature is of: this one, unless they are others than the gradient's.
  virtual Objective& curvature_source() { return *this; }

  // Steps that nobody waits for (step_queue.hpp). The caller announces a gradient, and `products` products at the same
  // point, then launches them or replays launches that it has recorded under the same key.

  /// True when the launches of gradient_on_device, and of product_on_device where there are products, wait for nothing
  /// and are the same every time for what is appended to `key`. False, the default: gradient() is what there is.
  virtual bool announce_gradient(std::vector<std::uintptr_t>& key, Index products = 0,
                                 Curvature kind = Curvature::hessian);
  /// Queues g := the gradient and *value (device memory) := the value. The default asks gradient(), which may wait.
  virtual void gradient_on_device(const T* theta, T* g, double* value);
  /// Queues hv := the curvature times v where gradient_on_device stands. UsageError where none was announced.
  virtual void product_on_device(Curvature kind, const T* v, T* hv);

  struct Linearized {
    double value;
    std::unique_ptr<LinearOperator<T>> curvature;
  };
  /// gradient and curvature at one point, for less where they share work.
  virtual Linearized linearize(const T* theta, T* g, Curvature kind);
};

struct FiniteDifferenceOptions {
  bool central = true;
  /// Relative step; the step along v is `step (1 + |theta|) / |v|`. 0 takes the cube root of the machine epsilon
  /// (central: 6e-6 in double, 5e-3 in float) or its square root (forward).
  double step = 0;
};

/// H v from differences of the gradient: (g(theta + h v) - g(theta - h v)) / 2h, or the forward form.
/// Truncation error O(h^2) or O(h); across kinks (relu, max pooling) it can be far off: exact products are the
/// reference.
template <class T>
class FiniteDifferenceOperator final : public LinearOperator<T> {
 public:
  FiniteDifferenceOperator(Objective<T>& objective, const T* theta, const FiniteDifferenceOptions& options = {});
  Context& context() const override { return objective_.context(); }
  Index dimension() const override { return objective_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

  /// epsilon^(2/3), what central differences reach at best.
  double relative_error() const override;
  std::int64_t gradients() const override { return gradients_; }

  /// |Hv(2h) - Hv(h)| / |Hv(h)|, divided by 3 (central) or 1 (forward): what extrapolation says the error of Hv(h) is.
  double error_estimate(View<const T> v);

 private:
  void difference(const T* v, double relative_step, T* hv);
  Objective<T>& objective_;
  FiniteDifferenceOptions options_;
  Buffer<T> theta_, point_, plus_, base_;
  double theta_norm_ = 0;
  std::int64_t gradients_ = 0;
};

enum class SecantSteps {
  axis,  ///< d = h e_j for every j: n + 1 gradients give all columns
  sgd    ///< d = -rate g, step after step: every entry of a step's matrix from two gradients
};
const std::vector<std::string>& secant_steps_names();
SecantSteps parse_secant_steps(const std::string& name);  ///< UsageError lists the names

struct SecantOptions {
  SecantSteps steps = SecantSteps::axis;
  double step = 0;       ///< axis: h = step (1 + |theta_j|); 0 takes the square root of the machine epsilon
  Index count = 10;      ///< sgd: steps, whose matrices are averaged
  double rate = 0.01;    ///< sgd: the learning rate
  double cutoff = 1e-3;  ///< sgd: columns with |d_j| <= cutoff max|d| are left out (zero)
};

/// The gradient-difference Hessian, symmetrised: (S + S') / 2 with S_ij = (g_i(theta + d) - g_i(theta)) / d_j. From
/// axis steps S is the forward-difference Hessian, error O(h), n^2 numbers held (MemoryError when they do not fit).
/// From SGD steps each S is the rank-one matrix (g' - g) (1/d)', which on the way sees every column of H at once: S_ij
/// is sum_k H_ik d_k / d_j, so S equals H only where H is diagonal. 2 count n numbers are held.
template <class T>
class SecantOperator final : public LinearOperator<T> {
 public:
  /// UsageError for a count below 1, a rate that is not positive, a step below 0, a cutoff outside [0, 1).
  SecantOperator(Objective<T>& objective, const T* theta, const SecantOptions& options = {});
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  void apply(View<const T> v, View<T> hv) override;
  void to_dense(T* h) override;

 private:
  void take_axis_steps(Objective<T>& objective, const T* theta, const SecantOptions& options);
  void take_sgd_steps(Objective<T>& objective, const T* theta, const SecantOptions& options);
  Context& context_;
  Index n_, pairs_ = 0;
  Buffer<T> matrix_;                 ///< axis: [n][n]
  Buffer<T> changes_, reciprocals_;  ///< sgd: [pairs][n], g' - g and 1/d over the number of pairs
};

/// g g' of the gradient at theta.
template <class T>
class GradientOuterOperator final : public LinearOperator<T> {
 public:
  GradientOuterOperator(Objective<T>& objective, const T* theta);
  Context& context() const override { return context_; }
  Index dimension() const override { return g_.size(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  Context& context_;
  Buffer<T> g_;
};

}  // namespace hso
