// SPDX-License-Identifier: Apache-2.0
//
// Optimizers by name. Each takes one step on an Objective; a failed or non-finite step leaves theta exactly as it was.
//
//   auto optimizer = make_optimizer<float>("hso", {{"sign", "abs"}, {"delta", "0.01"}});
//   StepReport r = optimizer->step(objective, theta.data());
//
// The same table feeds the program's --help, its option checks and the tests. The methods and their options, one header
// a family: hso.hpp, first_order.hpp, quasi_newton.hpp, preconditioned.hpp. Momentum, decay and schedules on top of
// any of them: wrappers.hpp.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso {

namespace detail {
template <class T>
class QueuedStep;
}

enum class StepStatus {
  accepted,
  rejected,    ///< no trial lowered the loss; theta unchanged
  not_finite,  ///< loss, gradient or step is NaN or infinite; theta unchanged
  singular     ///< the curvature cannot be inverted under the chosen policy; theta unchanged, `message` says why
};
const char* name_of(StepStatus status);

using MetricValue = std::variant<double, std::int64_t, bool, std::string>;

struct StepReport {
  StepStatus status = StepStatus::accepted;
  double loss_before = 0;
  double loss_after = 0;  ///< equal to loss_before where the method does not evaluate it (first-order methods)
  double gradient_norm = 0;
  /// sqrt(g' |A|^-1 g / (2 |f|)), A the curvature; of f = |r|^2 / 2 and the ggn the relative offset of Bates and Watts,
  /// Technometrics 23 (1981) 179. Free of units. |lambda| below the rank tolerance, of A in the method's units, counts
  /// as that, and max |g_i| / sqrt(2 |f| |A_ii|), the largest cosine, is the least. Negative: not measured.
  double scaled_gradient = -1;
  double step_norm = 0;
  int trials = 1;      ///< points at which the value was tried
  int gradients = 1;   ///< gradient evaluations
  Index products = 0;  ///< curvature products, a dense Hessian counting n
  std::string message;
  /// What the method has to tell, in a fixed order (metrics.jsonl writes them as they are).
  std::vector<std::pair<std::string, MetricValue>> metrics;
};

/// The shape of theta: what the memory of a method depends on.
struct ParameterLayout {
  Index n = 0;
  std::vector<Shape> tensors{};  ///< in the order of theta; empty where the objective knows none
};

template <class T>
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual const std::string& name() const = 0;
  virtual StepReport step(Objective<T>& objective, T* theta) = 0;
  /// What the last accepted step added to theta, not rounded to theta's last bit: the optimizer's own device memory,
  /// good until its next step. Null where a method does not keep it.
  virtual const T* displacement() const { return nullptr; }
  /// Its steps for those who do not wait for each outcome (step_queue.hpp); null: every step needs the host.
  virtual detail::QueuedStep<T>* queued() { return nullptr; }
  /// Names every member that a step leaves for the next ones, once (core/state.hpp). Where values are read, `coming` is
  /// the objective of the coming steps, and room for them is made on its device; otherwise it is not looked at. Queued
  /// steps are looked at first.
  virtual void visit_state(StateVisitor& state, Objective<T>* coming) = 0;
  /// True when a step wants the whole batch (the trainer's default batch).
  virtual bool full_batch() const { return false; }
  /// True when it forms and decomposes an [n][n] matrix.
  virtual bool dense() const { return false; }
  /// Device bytes that its steps hold or take at the most, dense() matrices, theta and what belongs to the objective (a
  /// network's tapes and the points of its operators) left out. What visit_state names counts twice: a training keeps a
  /// copy to step back to. The default: eight vectors.
  virtual Index bytes(Context&, const ParameterLayout& layout) const {
    return checked_multiply(8 * static_cast<Index>(sizeof(T)), layout.n);
  }
};

struct OptionInfo {
  std::string name, default_value, help;
};
struct OptimizerInfo {
  std::string name, summary;
  std::vector<OptionInfo> options;
  bool needs_network = false;  ///< works on network objectives alone
};
/// In the order of the table.
const std::vector<OptimizerInfo>& optimizer_table();

using OptimizerSettings = std::map<std::string, std::string>;

/// UsageError names the unknown optimizer or option with a suggestion, or the value that does not parse.
template <class T>
std::unique_ptr<Optimizer<T>> make_optimizer(const std::string& name, const OptimizerSettings& settings = {});

/// The state behind the last step, in host memory: an optimizer of the same name, settings and wrappers that is given
/// it takes the steps that this one would take, to the bit. Nothing but "started" before the first step.
template <class T>
RawTensors save_state(Optimizer<T>& optimizer);
/// InputError names the member that is missing, unknown, or of another size.
template <class T>
void load_state(Optimizer<T>& optimizer, Objective<T>& coming, const RawTensors& state,
                const std::string& source = "optimizer state");

}  // namespace hso
