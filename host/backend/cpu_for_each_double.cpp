// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu_for_each.hpp"

namespace hso::detail {

template void CpuOps<double>::for_each(Index, Index, const ElementOp<double>&);

}  // namespace hso::detail
