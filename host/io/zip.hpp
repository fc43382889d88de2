// SPDX-License-Identifier: Apache-2.0
//
// ZIP archives as numpy.savez writes them: files stored or deflated (PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file.hpp"

namespace hso {

struct ZipEntry {
  std::string name;
  std::uint16_t method = 0;  ///< 0 stored, 8 deflated
  std::uint16_t flags = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0, size = 0;
  std::uint64_t header = 0;  ///< offset of its local header
};

class ZipFile {
 public:
  /// Reads the central directory, Zip64 included. InputError (starting with `path`) when there is none or it is
  /// damaged.
  explicit ZipFile(const std::string& path);
  const std::string& path() const { return file_.path(); }
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// The bytes of an entry. InputError for encryption, other methods, sizes that do not fit and a wrong checksum.
  std::string extract(const ZipEntry& entry) const;

 private:
  void read_directory();
  std::string at(std::uint64_t offset, std::uint64_t size, const char* what) const;
  [[noreturn]] void fail(const std::string& message) const;
  std::string inflated(const ZipEntry& entry, const std::string& packed) const;

  FileReader file_;
  std::vector<ZipEntry> entries_;
};

}  // namespace hso
