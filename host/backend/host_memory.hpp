// SPDX-License-Identifier: Apache-2.0
//
// What the machine has: memory, cache, processor.
#pragma once

#include "hsogpu/core/context.hpp"

namespace hso::detail {

/// What this process may still use: the machine's available memory, or less where a container's limit says so.
DeviceMemory host_memory();

/// Of one core, within [256 KB, 4 MB]; 1 MB where the system does not say.
Index second_level_cache_bytes();

/// "model name" of the processor, or "unknown processor".
std::string processor_model();

}  // namespace hso::detail
