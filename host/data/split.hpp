// SPDX-License-Identifier: Apache-2.0
//
// The split of a data set that nobody needs whole any longer: its numbers stay where they are, but for the test part.
#pragma once

#include "hsogpu/data/dataset.hpp"

namespace hso {

/// The same parts as those of `split`.
DataSplit split_in_place(Dataset data, Index test_size, std::uint64_t seed);

/// The last `test_size` samples become the test part: what follows from one sample to the next stays together.
DataSplit split_in_order(Dataset data, Index test_size);

}  // namespace hso
