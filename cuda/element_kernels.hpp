// SPDX-License-Identifier: Apache-2.0
//
// The kernels that run an element functor for every position of a two-dimensional range.
#pragma once

#include "hsogpu/detail/element_ops.hpp"
#include "launch.hpp"

namespace hso::detail {

/// op(o, i) for o in [0, outer), i in [0, inner), queued on the stream.
void launch_for_each(const Launch& launch, Index outer, Index inner, const ElementOp<float>& op);
void launch_for_each(const Launch& launch, Index outer, Index inner, const ElementOp<double>& op);

}  // namespace hso::detail
