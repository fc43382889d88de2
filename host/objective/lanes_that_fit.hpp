// SPDX-License-Identifier: Apache-2.0
//
// How many directions go through a traversal at once, by the memory that is free.
#pragma once

#include <algorithm>

#include "hsogpu/core/context.hpp"
#include "hsogpu/graph/tape.hpp"

namespace hso::detail {

/// The useful lanes, or as many of them as have a tape within a quarter of the free memory.
template <class T>
Index lanes_that_fit(Context& context, const Graph<T>& graph, Index batch) {
  const Index budget = context.memory().free_bytes / 4;
  Index lanes = std::min(Tape<T>::useful_lanes(context, graph, batch), std::max<Index>(graph.parameter_count(), 1));
  while (lanes > 1 && Tape<T>::bytes(context, graph, batch, lanes) > budget) lanes /= 2;
  return lanes;
}

}  // namespace hso::detail
