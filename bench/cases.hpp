// SPDX-License-Identifier: Apache-2.0
//
// The networks that are timed, and what their products cost at least.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/graph/model.hpp"

namespace hso::bench {

struct NetCase {
  std::string name;
  std::string model;  ///< for parse_model
  Index batch;
  bool digits;         ///< the embedded digits (pixels / 16), else random inputs and labels
  bool compute_bound;  ///< the cost targets apply
  bool kinks = false;  ///< in float32 some of its many units fall on the other side of their kinks
};

const std::vector<NetCase>& net_cases();

/// Multiply-adds of the products with weights, for the whole batch: S is one forward pass, s1 its first layer, which
/// needs no input derivatives.
struct Work {
  double S = 0, s1 = 0;

  double gradient() const { return 3 * S - s1; }
  double hvp_fresh() const { return 8 * S - 5 * s1; }
  double hvp_linearised() const { return 6 * S - 4 * s1; }
  double ggn() const { return 4 * S - 2 * s1; }
};
Work work_of(const NetCase& net);

/// Inputs [batch][features] and labels [batch], the same on every machine.
struct Batch {
  std::vector<double> inputs, labels;
};
Batch make_batch(const NetCase& net);

/// n numbers with the spread of a standard normal, the same for the same seed.
std::vector<double> random_numbers(Index n, unsigned seed);

}  // namespace hso::bench
