// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C, the checksum of the frames in event files.
#pragma once

#include <cstdint>
#include <string_view>

namespace hso {

/// The checksum of Castagnoli's polynomial (RFC 3720, 12.1), as iSCSI, ext4 and TFRecord files have it.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace hso
