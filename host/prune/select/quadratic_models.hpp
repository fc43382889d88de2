// SPDX-License-Identifier: Apache-2.0
//
// Quadratic models of the loss around a stage's point.
#pragma once

#include "hsogpu/objective/kronecker.hpp"
#include "prune/select/stage.hpp"

namespace hso::detail {

template <class T>
struct StageModel {
  SurgeryModel<T> model;
  double damping = 0;
};
template <class T>
StageModel<T> quadratic_model(Stage<T>& stage);  ///< obs, kfac_obs, fisher
template <class T>
StageModel<T> spectral_model(Stage<T>& stage);  ///< hsp_saliency

/// Where a Kronecker block's [W b] lies in theta; bias < 0: there is none.
struct LayerPlace {
  Index weight = 0, bias = -1, columns = 0;
};

/// Row r of the block's [W b] has Hessian output_diagonal[r] input_factor.
template <class T>
struct KroneckerLayer {
  KroneckerBlock block;
  LayerPlace place;
  std::vector<T> input_factor;  ///< [inputs][inputs]
  std::vector<T> output_diagonal;
};
template <class T>
std::vector<KroneckerLayer<T>> kronecker_layers(Stage<T>& stage);

}  // namespace hso::detail
