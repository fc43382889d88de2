// SPDX-License-Identifier: Apache-2.0
//
// What pruning takes on the device, known before anything is computed.
#pragma once

#include "hsogpu/graph/tape.hpp"
#include "hsogpu/prune/prune.hpp"

namespace hso {

/// Bytes of scores and compensation by `rule` beside the objective, where `kept` of the layout's parameters are left
/// and the data have this many samples.
template <class T>
Index removal_bytes(Context& context, const ParameterLayout& layout, Index kept, Index samples,
                    const RemovalRule& rule);

/// Bytes of a training in precision T on data of `numbers` numbers, which has a copy of its own.
template <class T>
Index finetuning_bytes(Context& context, const Graph<T>& graph, const ParameterLayout& layout, Index numbers,
                       const TrainOptions& options);

}  // namespace hso
