// SPDX-License-Identifier: Apache-2.0
//
// A small problem on which a training takes milliseconds.
#pragma once

#include <string>

#include "hsogpu/train/train.hpp"
#include "support/temp_dir.hpp"

namespace hso::test {

/// `tiny.csv` in the folder: 60 points of the plane, the class is the quadrant's parity (no linear rule tells it).
/// Returns its path.
std::string write_tiny_data(const TempDir& dir);

/// mlp:2-4-2:tanh on that file, on the CPU in float64: a step takes about a millisecond.
TrainOptions tiny_options(const TempDir& dir, const std::string& optimizer);

}  // namespace hso::test
