// SPDX-License-Identifier: Apache-2.0
//
// What one step, product or iteration asks of a GPU, counted over the emulated device: launches, library calls, graphs,
// copies, waits, bytes and flops. Counts are exact and the same on every machine.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso::ledger {

/// Of one unit of work in its steady state: the difference of a long and a short run, divided by what they differ in.
struct Row {
  std::string work;     ///< "step adam", "hessian product, 32 directions", ...
  std::string network;  ///< model word
  Index batch = 0;
  double launches = 0, library_calls = 0, graph_launches = 0, graph_nodes = 0;
  double copies = 0, copied_bytes = 0, waits = 0;
  double kernel_bytes = 0;   ///< that kernels read and wrote, each once a kernel
  double library_bytes = 0;  ///< operands of products and factorisations
  double flops = 0;          ///< of products and factorisations
};

struct Case {
  std::string network;
  Index batch;
};
/// 64-256-10, 784-1024-512-256-128-64-10 and lenet5.
const std::vector<Case>& cases();

/// Training steps through train(), a mini-batch each where the method takes them.
std::vector<Row> step_rows(const Case& c);
/// Gradient, curvature products, iterations of solvers.
std::vector<Row> product_rows(const Case& c);
/// What forms or eliminates in matrices, on a network that is small enough for it.
std::vector<Row> dense_rows();

}  // namespace hso::ledger
