// SPDX-License-Identifier: Apache-2.0
//
// A folder that goes with the test.
#pragma once

#include <filesystem>
#include <string>

namespace hso::test {

/// A fresh folder that goes away with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  /// Writes the bytes to the file `name` and returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace hso::test
