// SPDX-License-Identifier: Apache-2.0
//
// What a training or an evaluation takes on the device, known before anything is computed or written.
#pragma once

#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/graph/tape.hpp"

namespace hso {

struct TrainingNeeds {
  Index rows = 0;         ///< of one step
  Index device_rows = 0;  ///< asked for; 0: choose
  bool dense = false;     ///< the method forms and decomposes an [n][n] matrix
  Index method = 0;       ///< bytes of the optimizer: Optimizer::bytes
  /// Rows at a time that objectives beside the first want, which only evaluate.
  std::vector<Index> evaluations{};
  Index curvature_rows = 0;  ///< of a curvature batch of its own; 0: none
  Index order = 0;           ///< bytes in which an epoch's order of rows is made
};

struct TrainingPlan {
  Index rows = 0;   ///< on the device at a time
  Index lanes = 1;  ///< directions of one traversal
  Index bytes = 0;  ///< the most that is live at once; spectra over training are left out
  std::vector<Index> evaluation_rows{};
  /// What sums depend on: a resumed training takes rows in the portions that it began with.
  void visit_state(StateVisitor& state) {
    state("rows", rows);
    state("lanes", lanes);
    auto evaluations = static_cast<Index>(evaluation_rows.size());
    state("evaluations", evaluations);
    evaluation_rows.resize(static_cast<std::size_t>(evaluations));
    state.parts("evaluation_rows", evaluation_rows.size(), [&](std::size_t i) { state("rows", evaluation_rows[i]); });
  }
};

/// Beside what the context holds already, which is the data: theta and the point of an operator, the method's own, the
/// tape of the steps, one for values at trial points and one for each further evaluation, the making of orders, and a
/// small change for the scratch of traversals.
/// As many rows as were asked for, or the most (halving) whose tapes fit half of the memory that the rest leaves; lanes
/// likewise; evaluations as many as fit a quarter of it and a GiB. MemoryError says what is needed, what is there, and
/// which n a dense method could have.
template <class T>
TrainingPlan plan_training(Context& context, const Graph<T>& graph, const TrainingNeeds& needs);

}  // namespace hso
