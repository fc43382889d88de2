// SPDX-License-Identifier: Apache-2.0
//
// What a training takes on the device, known before anything is allocated or written.
#pragma once

#include "hsogpu/model.hpp"
#include "hsogpu/tape.hpp"

namespace hso {

struct TrainingNeeds {
  Index values = 0;       ///< numbers of the data set, targets included
  Index rows = 0;         ///< of one step
  Index device_rows = 0;  ///< asked for; 0: choose
  bool dense = false;     ///< the method forms and decomposes an [n][n] matrix
};

/// Rows of a piece: what was asked for, or the most (halving) whose tapes fit half of the memory that is left.
/// MemoryError says what is needed, what is there, and which n a dense method could have.
template <class T>
Index plan_device_rows(Context& context, const Graph<T>& graph, const TrainingNeeds& needs);

/// "1.5 GiB"
std::string bytes_text(double bytes);

}  // namespace hso
