// SPDX-License-Identifier: Apache-2.0
//
// Models that together have every way for channels to be coupled, and what they give under a mask.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/prune/structure.hpp"
#include "support/cases.hpp"

namespace hso::test {

/// A model from lines "type key = value, key = value"; the first line is the shape of the input.
ModelSpec model_of(const std::string& input, const std::vector<std::string>& layers);

struct ShrinkCase {
  std::string name;
  ModelSpec model;
  bool smooth;  ///< no unit that lives is 0 on a whole half-space
};
const std::vector<ShrinkCase>& shrink_cases();

/// Normal numbers, biases too.
Numbers random_theta(const ModelSpec& model, std::uint64_t seed);
Index parameters_of(const ModelSpec& model);
Numbers masked(Numbers theta, const Mask& mask);
/// Each parameter is kept with probability `kept`.
Mask random_mask(Index n, double kept, std::uint64_t seed);
/// In float64 on 3 random samples, dropout off.
Numbers outputs(const ModelSpec& model, const Numbers& theta);

}  // namespace hso::test
