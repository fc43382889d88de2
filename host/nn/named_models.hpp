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

}  // namespace hso
