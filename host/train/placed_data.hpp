// SPDX-License-Identifier: Apache-2.0
//
// The parts of a data set in device memory, without the copies that they were read into.
#pragma once

#include <optional>

#include "hsogpu/objective/network_objective.hpp"

namespace hso {

template <class T>
struct PlacedData {
  /// `own`: where `data` lies when nobody else needs it; every part of it is given back as soon as it is on the device.
  /// MemoryError, before anything is allocated, says how many samples would fit.
  PlacedData(Context& context, const Network<T>& network, const DataSplit& data, DataSplit* own);

  DeviceData<T> train;
  std::optional<DeviceData<T>> test;  ///< none where that part is empty
};

/// `wanted` rows at a time, or as many (halving) as have a tape within a quarter of the free memory. MemoryError where
/// a single one has no room.
template <class T>
Index rows_that_fit(Context& context, const Graph<T>& graph, Index wanted);

/// Scratch of traversals and ends of arena blocks, which nobody counts one by one.
constexpr Index kScratchBytes = Index{8} << 20;

}  // namespace hso
