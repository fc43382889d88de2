// SPDX-License-Identifier: Apache-2.0
//
// The library's graph of a network that the oracle describes.
#pragma once

#include "hsogpu/graph/graph.hpp"
#include "support/net.hpp"

namespace hso::test {

/// The library's graph of a description; node i is layer i. `output` >= 0 replaces the description's output.
template <class T>
Graph<T> graph_of(const Net& net, int output = -1);

}  // namespace hso::test
