// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/graph/curvature.hpp"

#include "io/choice.hpp"

namespace hso {

const std::vector<std::string>& curvature_names() {
  static const std::vector<std::string> names{
      "hessian", "ggn",  "fisher_mc", "fisher_empirical", "gradient_outer", "finite_difference",
      "secant",  "kfac", "ekfac",     "diagonal"};
  return names;
}

Curvature parse_curvature(const std::string& name) {
  return parse_choice<Curvature>("curvature", name, curvature_names());
}

const std::string& name_of(Curvature kind) { return curvature_names()[static_cast<std::size_t>(kind)]; }

bool is_positive_semidefinite(Curvature kind) {
  switch (kind) {
    case Curvature::ggn:
    case Curvature::fisher_mc:
    case Curvature::fisher_empirical:
    case Curvature::gradient_outer:
    case Curvature::kfac:
    case Curvature::ekfac:
      return true;
    default:
      return false;
  }
}

}  // namespace hso
