// SPDX-License-Identifier: Apache-2.0
//
// Names of losses and initialisations, in the order of their enums.
#include "hsogpu/graph/model.hpp"
#include "io/choice.hpp"

namespace hso {
const std::vector<std::string>& loss_names() {
  static const std::vector<std::string> names{"cross_entropy", "squared_error", "bce", "huber"};
  return names;
}
LossKind parse_loss(const std::string& name) { return parse_choice<LossKind>("loss", name, loss_names()); }
const std::string& name_of(LossKind loss) { return loss_names().at(static_cast<std::size_t>(loss)); }

const std::vector<std::string>& initialization_names() {
  static const std::vector<std::string> names{"glorot", "pytorch", "kaiming"};
  return names;
}
Initialization parse_initialization(const std::string& name) {
  return parse_choice<Initialization>("initialization", name, initialization_names());
}
const std::string& name_of(Initialization initialization) {
  return initialization_names().at(static_cast<std::size_t>(initialization));
}

}  // namespace hso
