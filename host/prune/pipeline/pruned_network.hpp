// SPDX-License-Identifier: Apache-2.0
//
// What a pruning leaves: the smaller network, its sizes, and its files.
#pragma once

#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/prune/prune.hpp"
#include "train/saved_run.hpp"

namespace hso {

template <class T>
struct PrunePlace {
  Context& context;
  const DataSplit& split;  ///< scaled
  const Network<T>& network;
};

/// Fills shrunk, both sizes and the difference of the outputs, and writes the run directory where there is one.
template <class T>
void conclude(const PruneOptions& options, const SavedRun& run, const PrunePlace<T>& place, PruneResult& result);

}  // namespace hso
