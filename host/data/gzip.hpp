// SPDX-License-Identifier: Apache-2.0
//
// Files that may be compressed with gzip, read without asking.
#pragma once

#include <zlib.h>

#include <memory>
#include <string>

#include "hsogpu/core/types.hpp"

namespace hso {

/// A file, plain or gzip (zlib tells them apart by the first bytes; several members follow each other).
class GzipReader {
 public:
  explicit GzipReader(const std::string& path);
  const std::string& path() const { return path_; }
  /// What was read so far was compressed.
  bool compressed() const { return gzdirect(file_.get()) == 0; }
  /// Bytes read; fewer than asked for only at the end. InputError when the compressed data is damaged or ends early.
  std::size_t read(Span<unsigned char> out);

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, decltype(&gzclose)> file_;
};

/// The whole file, unpacked where it is compressed.
struct UnpackedText {
  std::string text;
  bool compressed = false;
};
UnpackedText read_unpacked(const std::string& path);

}  // namespace hso
