// SPDX-License-Identifier: Apache-2.0
//
// Tensors that another program has written under its own names: the state dict of a PyTorch module calls the layers
// "model.0", "fc1" or "layers.3", where a model here calls them "0", "1", "2".
#pragma once

#include <string>
#include <vector>

#include "hsogpu/data/io.hpp"
#include "hsogpu/graph/model.hpp"

namespace hso {

/// The tensors under the names of the parameters, where the file leaves no doubt which is which.
///
/// Integers and types that are not read, under names that the model does not have, are left out: no parameter can be
/// one of them. When names still differ, the tensors are taken layer by layer: a layer is what precedes the last dot of
/// a name, and two layers are alike when what follows the dot and the shapes are the same. A layer that has but one
/// like it is taken for that one. Several that are alike must differ in numbers alone ("fc1", "fc2"), which tell their
/// order. In any other case the names stay as they are, for tensors_of to refuse.
/// Whatever was left out or renamed is said in `notes`.
SafeTensors with_model_names(SafeTensors file, const std::string& source, const std::vector<ParameterInfo>& parameters,
                             std::vector<std::string>& notes);

}  // namespace hso
