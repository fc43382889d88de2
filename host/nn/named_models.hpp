// SPDX-License-Identifier: Apache-2.0
//
// The networks that have names, beside mlp.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/graph/model.hpp"

namespace hso {

struct NamedModel {
  std::string name;
  ModelSpec (*make)();
};
const std::vector<NamedModel>& named_models();

/// He et al. 2016, section 4.2, n = 3, for images [C, H, W] and 10 classes: 20 layers with weights, batchnorm2d behind
/// each convolution, shortcuts without parameters (option A).
ModelSpec resnet20_of(const Shape& image);

/// Layers of type rnn, lstm or gru over samples {steps, features}, the last state of the last, and a linear layer.
ModelSpec recurrent(const std::string& type, const Pair& sample, const std::vector<Index>& hidden, Index out);

}  // namespace hso
