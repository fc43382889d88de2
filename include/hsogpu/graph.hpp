// SPDX-License-Identifier: Apache-2.0
//
// Networks: a graph of operations, the tape that walks it, and models by name or TOML.
//
//   graph/graph      layers and losses as nodes of a static graph
//   graph/curvature  the kinds of curvature and their formulas
//   graph/tape       loss, gradient and exact products with the Hessian, GGN and Fisher matrices
//   graph/model      "mlp:64-32-10:tanh", named models, TOML files
#pragma once

#include "hsogpu/graph/curvature.hpp"
#include "hsogpu/graph/graph.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/graph/tape.hpp"
