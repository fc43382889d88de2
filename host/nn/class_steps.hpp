// SPDX-License-Identifier: Apache-2.0
//
// Which networks tell a class for each step of a sequence, and how many classes a network tells apart.
#pragma once

#include "hsogpu/graph/model.hpp"

namespace hso {

/// Cross-entropy over outputs [steps, classes]; any other output has one label for a sample.
inline bool labels_steps(LossKind loss, const Shape& output) {
  return loss == LossKind::cross_entropy && output.rank() == 2;
}

/// The outputs that a label chooses from.
inline Index class_outputs(LossKind loss, const Shape& output) {
  return labels_steps(loss, output) ? output[1] : output.size();
}

}  // namespace hso
