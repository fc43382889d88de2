// SPDX-License-Identifier: Apache-2.0
//
// What a training takes on the device, known before anything is allocated or written.
#pragma once

#include "hsogpu/model.hpp"
#include "hsogpu/tape.hpp"

namespace hso {

struct TrainingNeeds {
  Index values = 0;          ///< numbers of the data set, targets included
  Index rows = 0;            ///< of one step
  Index device_rows = 0;     ///< asked for; 0: choose
  bool dense = false;        ///< the method forms and decomposes an [n][n] matrix
  Index curvature_rows = 0;  ///< of a curvature batch of its own; 0: none
};

struct MemoryPlan {
  Index rows = 0;   ///< on the device at a time
  Index lanes = 1;  ///< directions of one traversal
  Index bytes = 0;  ///< of the data, the buffers, and the dense matrix with its eigendecomposition
};

/// As many rows as were asked for, or the most (halving) whose tapes fit half of the memory that the rest leaves; lanes
/// likewise. MemoryError says what is needed, what is there, and which n a dense method could have.
template <class T>
MemoryPlan plan_memory(Context& context, const Graph<T>& graph, const TrainingNeeds& needs);

}  // namespace hso
