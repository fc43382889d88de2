// SPDX-License-Identifier: Apache-2.0
#include "train/training_memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "train/placed_data.hpp"

namespace hso {
namespace {

constexpr Index kVectors = 3;  // theta, theta before the step, the point that products stand at

/// The curvature matrix of a method that decomposes it.
template <class T>
Index dense_bytes(Context& context, Index n) {
  return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T))) + eigh_bytes<T>(context, n);
}

/// Main tape and trial tape, which holds values alone.
// Of an evaluation's portion: enough to keep a device busy, and little to wait for where a signal ends the work.
constexpr Index kEvaluation = Index{1} << 30;

template <class T>
Index tape_bytes(const Context& context, const Graph<T>& graph, Index rows, Index lanes) {
  return Tape<T>::bytes(context, graph, rows, lanes) + Tape<T>::bytes(context, graph, rows, 0);
}

}  // namespace

template <class T>
TrainingPlan plan_training(Context& context, const Graph<T>& graph, const TrainingNeeds& needs) {
  const Index n = graph.parameter_count(), element = static_cast<Index>(sizeof(T));
  const auto fixed = [&](Index size) {
    const Index numbers = checked_multiply(kVectors, size);
    const double share = static_cast<double>(size) / static_cast<double>(std::max<Index>(n, 1));
    return (needs.dense ? dense_bytes<T>(context, size) : 0) + checked_multiply(numbers, element) +
           static_cast<Index>(share * static_cast<double>(needs.method)) + needs.order + kScratchBytes;
  };
  const auto tapes = [&](Index rows, Index lanes) {
    const Index own = std::min(rows, needs.curvature_rows);
    return tape_bytes(context, graph, rows, lanes) + (own > 0 ? Tape<T>::bytes(context, graph, own, lanes) : 0);
  };
  const auto all = [&](Index size, Index rows) { return fixed(size) + tapes(rows, 1); };
  const bool chosen = needs.device_rows > 0;
  TrainingPlan plan{std::min(needs.rows, chosen ? needs.device_rows : needs.rows), 1};
  const std::string what =
      fmt::format("train: {}the buffers of {} rows at a time",
                  needs.dense ? "the dense curvature matrix, its eigendecomposition, " : "", chosen ? plan.rows : 1);
  require_memory(context, what, n, [&](Index size) { return all(size, chosen ? plan.rows : 1); });
  const Index left = (context.memory().free_bytes + context.arena().unused_bytes() - fixed(n)) / 2;
  while (!chosen && plan.rows > 1 && tapes(plan.rows, 1) > left) plan.rows = (plan.rows + 1) / 2;
  if (needs.dense) plan.lanes = std::min(std::max<Index>(n, 1), Tape<T>::useful_lanes(context, graph, plan.rows));
  while (plan.lanes > 1 && tapes(plan.rows, plan.lanes) > left) plan.lanes /= 2;
  plan.bytes = context.allocated_bytes() + fixed(n) + tapes(plan.rows, plan.lanes);
  const auto values = [&](Index rows) { return Tape<T>::bytes(context, graph, rows, 0); };
  for (Index rows : needs.evaluations) {
    while (rows > 1 && values(rows) > std::min(left / 2, kEvaluation)) rows = (rows + 1) / 2;
    plan.evaluation_rows.push_back(rows);
    plan.bytes += values(rows);
  }
  return plan;
}

template TrainingPlan plan_training<float>(Context&, const Graph<float>&, const TrainingNeeds&);
template TrainingPlan plan_training<double>(Context&, const Graph<double>&, const TrainingNeeds&);

}  // namespace hso
