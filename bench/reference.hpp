// SPDX-License-Identifier: Apache-2.0
//
// A network is compared with float64 on the CPU before it is timed.
#pragma once

#include "fixture.hpp"

namespace hso::bench {

/// The largest relative distance of gradient, H v and G v from float64 on the CPU. What is fast and wrong is not timed.
template <class T>
double largest_error(const NetCase& net);

/// Above it a case is refused. float32 sums over a batch of a thousand stay two orders below.
template <class T>
constexpr double kErrorLimit = sizeof(T) == 4 ? 1e-4 : 1e-10;

}  // namespace hso::bench
