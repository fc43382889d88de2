// SPDX-License-Identifier: Apache-2.0
//
// NumPy arrays from sources other than a file of their own: memory, and archives that are open.
#pragma once

#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/zip.hpp"

namespace hso {

/// A .npy file, or one inside another file; its end is the end of the array.
Array read_npy(ByteReader& file);
/// The array of this name in an archive, as read_npz.
Array read_npz(const ZipFile& archive, const std::string& name);

}  // namespace hso
