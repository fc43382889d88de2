// SPDX-License-Identifier: Apache-2.0
//
// Random data that fits a model: the ledger depends on shapes alone.
#pragma once

#include <cstdint>

#include "hsogpu/data/dataset.hpp"
#include "hsogpu/graph/model.hpp"

namespace hso::ledger {

/// Random samples of 10 classes: counts do not depend on values.
inline Dataset random_data(const ModelSpec& model, Index rows) {
  Dataset d;
  d.name = "random";
  d.size = rows;
  d.input_shape = model.input;
  d.classes = 10;
  std::uint64_t state = 1;
  const auto next = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 40; };
  for (Index i = 0; i < rows * model.input.size(); ++i)
    d.inputs.push_back(static_cast<double>(next()) / (1 << 24) - 0.5);
  for (Index i = 0; i < rows; ++i) d.targets.push_back(static_cast<double>(next() % 10));
  return d;
}

}  // namespace hso::ledger
