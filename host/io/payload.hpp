// SPDX-License-Identifier: Apache-2.0
//
// The numbers between a file and memory, a megabyte at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"
#include "io/file.hpp"
#include "io/scalar_type.hpp"

namespace hso {

/// Bytes of an array, in checked arithmetic; InputError starts with `path` and `what`.
std::uint64_t payload_bytes(const std::string& path, const std::string& what, const Shape& shape, int scalar_bytes);

/// The next `count` numbers of the file. The caller has checked that they are there.
std::vector<double> read_payload(ByteReader& file, ScalarType type, bool big_endian, Index count);

/// Little-endian numbers of type Stored (float, double or std::uint8_t).
template <class Stored, class T>
void write_payload(AtomicFile& file, Span<const T> values);

}  // namespace hso
