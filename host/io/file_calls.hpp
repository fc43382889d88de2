// SPDX-License-Identifier: Apache-2.0
//
// The calls of the operating system by which files are written. Tests put others in their place, which fail or end the
// process, to see what is left on the disk then.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace hso::detail {

struct FileCalls {
  ssize_t (*write)(int fd, const void* bytes, std::size_t count);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*mkdir)(const char* path, mode_t mode);
};

/// Of this process.
FileCalls& file_calls();

}  // namespace hso::detail
