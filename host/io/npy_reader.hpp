// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hsogpu/io.hpp"
#include "io/file.hpp"

namespace hso {

/// A .npy file, or one inside another file; its end is the end of the array.
Array read_npy(ByteReader& file);

}  // namespace hso
