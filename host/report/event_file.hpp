// SPDX-License-Identifier: Apache-2.0
//
// TensorBoard's event files: TFRecord frames around the protocol buffers of tensorflow/core/util/event.proto and
// framework/summary.proto, of which only what scalars need is written. Numbers are little endian; a checksum is masked
// by rotating it right by 15 bits and adding 0xa282ead8.
//
//   frame    length (u64), masked CRC-32C of these 8 bytes (u32), the event, masked CRC-32C of the event (u32)
//   Event    1 wall_time (double), 2 step (int64), 3 file_version (string, of the first event), 5 summary
//   Summary  1 value, repeated;  Value  1 tag (string), 2 simple_value (float)
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hso::report {

struct Scalars {
  double wall_time = 0;  ///< seconds since 1970
  std::int64_t step = 0;
  std::vector<std::pair<std::string, double>> values;  ///< tag and value; kept as float
};

/// The bytes of a file with these events behind the one that names the version.
std::string event_file(double wall_time, const std::vector<Scalars>& events);

}  // namespace hso::report
