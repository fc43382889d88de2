// SPDX-License-Identifier: Apache-2.0
//
// The parameters of a graph as disjoint slices of theta.
#pragma once

#include <vector>

#include "hsogpu/graph/graph.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso::detail {

/// In order of offset, all of theta: parameters that share one slice appear once, others that overlap are one vector
/// with both names, entries that belong to none are a vector "unused".
template <class T>
std::vector<ParameterSlice> layout_of(const Graph<T>& graph);

}  // namespace hso::detail
