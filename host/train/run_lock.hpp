// SPDX-License-Identifier: Apache-2.0
//
// The lock by which two processes keep out of one run directory.
#pragma once

#include <string>

#include "io/file.hpp"

namespace hso {

/// The right to write to a run directory: a lock (flock) on its file ".hso-lock", held until this is destroyed or the
/// process ends in whatever way. The file goes with it; one that a killed process left behind locks nothing. File
/// systems without locks give the right to everybody.
class RunLock {
 public:
  static constexpr const char* kName = ".hso-lock";

  /// InputError when another process holds it.
  explicit RunLock(const std::string& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// InputError when another process holds the lock of this folder now; touches nothing.
  static void require_free(const std::string& folder);

 private:
  std::string path_;
  FileHandle file_;
};

}  // namespace hso
