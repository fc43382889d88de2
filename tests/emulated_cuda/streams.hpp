// SPDX-License-Identifier: Apache-2.0
//
// The objects behind the handles of the runtime.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "device.hpp"

/// A sequence of work that a capture recorded.
struct CUgraph_st {
  std::vector<hso::emulated::Item> items;
};

/// An instantiated graph. Every launch that is still queued holds one of the shared pointers.
struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
  std::shared_ptr<int> queued = std::make_shared<int>(0);
};

struct CUstream_st {
  std::deque<hso::emulated::Item> queue;
  std::unique_ptr<CUgraph_st> capture;
  bool capturing = false, invalid = false;
  int device = 0;
  bool busy = false;  ///< running an item: it does not run again inside
};

/// What an event stands for since it was last recorded.
struct CUevent_st {
  std::shared_ptr<hso::emulated::Mark> mark;
};

namespace hso::emulated {

/// Runs the mark's stream up to it.
void run_until(const Mark& mark);
CUstream_st* add_stream();
/// Violation when it is not a live stream.
void remove_stream(CUstream_st* stream);
void require_stream(const CUstream_st* stream, const char* call);

}  // namespace hso::emulated
