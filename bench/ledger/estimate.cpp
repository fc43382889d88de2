// SPDX-License-Identifier: Apache-2.0
#include "estimate.hpp"

#include <algorithm>

namespace hso::ledger {

const std::vector<Device>& devices() {
  static const std::vector<Device> all{{"A100 SXM 80 GB", 2.039e12, 19.5e12},
                                       {"H100 SXM", 3.35e12, 67e12},
                                       {"H200 SXM", 4.8e12, 67e12},
                                       {"RTX 4090", 1.008e12, 82.6e12}};
  return all;
}

double estimated_seconds(const Row& row, const Device& device, const LaunchCosts& costs) {
  const double nodes = row.launches + row.library_calls + row.copies + row.graph_nodes;
  const double work = row.kernel_bytes / device.bytes_per_second +
                      std::max(row.library_bytes / device.bytes_per_second, row.flops / device.flops_per_second);
  const double on_device = nodes * costs.node + work;
  const double on_host = (row.launches + row.library_calls) * costs.launch + row.graph_launches * costs.graph_launch +
                         row.copies * costs.copy + row.waits * costs.wait;
  const double overlapping = std::max(on_device, on_host), in_turn = on_device + on_host;
  return row.waits >= 1 ? in_turn : row.waits * in_turn + (1 - row.waits) * overlapping;
}

}  // namespace hso::ledger
