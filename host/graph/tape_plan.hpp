// SPDX-License-Identifier: Apache-2.0
//
// Where everything of a tape lies in memory. Values and adjoints (one lane) live as long as the tape; tangents Ry and
// their adjoints Rdy (K lanes) share one pool by lifetime: with M nodes, R-forward visits node i at time i, R-backward
// at 2M - 1 - i. Ry of i, and what its jvp keeps, live over [i, 2M-1-i]; Rdy of i from the reverse visit of its last
// consumer to 2M-1-i.
#pragma once

#include <vector>

#include "hsogpu/graph/graph.hpp"

namespace hso::detail {

struct NodePlan {
  bool live = false;                         ///< the loss or the output depends on it
  bool active = false;                       ///< it depends on a parameter
  Node root = kNoNode;                       ///< whose memory it uses: itself, or what it aliases
  Shape shape;                               ///< with the batch
  Index size = 0;                            ///< entries of one lane
  Index value = -1, adjoint = -1;            ///< offsets in elements; parameters: value is theta's offset
  Index tangent = -1, tangent_adjoint = -1;  ///< offsets in elements of one lane's pool; multiply by K
  Index kept = -1;                           ///< the same, of what jvp leaves for the way back
  Index saved = -1;                          ///< offset in bytes
};

struct TapePlan {
  std::vector<NodePlan> nodes;
  std::vector<Node> order;   ///< live op nodes that are no aliases, in forward order
  std::vector<Node> leaves;  ///< parameters in order of creation
  bool partition = false;    ///< every entry of theta lies in exactly one leaf: the first write to one may overwrite
  Index value_elements = 0;  ///< values and adjoints, theta and weights excluded
  Index pool_elements = 0;   ///< of one lane
  Index saved_bytes = 0;
  Index row_numbers = 0;  ///< the batch where an op draws random numbers by row, else 0
};

/// One allocation holds all numbers of a tape of n parameters, so that a product with an operand and one with its
/// tangent can be one strided batch, whose strides are positive: the order is the order of the members. `direction` and
/// `room` are for recorded products alone: they take nothing without `replays`, or without lanes.
struct TapeMemory {
  Index direction;  ///< [n] a copy of the vector of a product of one lane
  Index theta;      ///< [n]
  Index weights;    ///< [batch]
  Index values;
  Index pool;
  Index room;  ///< of one lane of the widest tangent: the second of two products that are one batch
  Index elements;
};
TapeMemory place_tape(const TapePlan& plan, Index n, Index batch, Index lanes, bool replays);

/// What has room beside the values.
struct TapeRoom {
  bool tangents = true;  ///< and their adjoints: products
  bool adjoints = true;  ///< gradients, and Hessian products
};
template <class T>
TapePlan plan_tape(const Graph<T>& graph, Index batch, const TapeRoom& room = {});

}  // namespace hso::detail
