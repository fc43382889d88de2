// SPDX-License-Identifier: Apache-2.0
//
// Memory of the emulated device: protected from the host, poisoned when fresh and when freed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hso::emulated {

/// The range of all device memory, live or not.
extern std::uintptr_t heap_begin;
extern std::size_t heap_bytes;

/// Zeros that take memory where they are touched alone; never given back.
std::uint32_t* reserve_zeros(std::size_t bytes);

/// Violation unless the bytes, in the range above, lie in one live block.
void require_touchable(const char* address, std::size_t bytes);

}  // namespace hso::emulated
