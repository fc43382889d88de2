// SPDX-License-Identifier: Apache-2.0
#include "train/run_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "hsogpu/core/error.hpp"

namespace hso {
namespace {

[[noreturn]] void fail_held(const std::string& folder) {
  throw InputError(
      fmt::format("run directory {}: another process is writing to it, expected one of its own for each run", folder));
}

/// False when another process has it.
bool lock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

/// The file may have been removed by the process that held the lock between our opening and locking it.
bool still_named(int fd, const std::string& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

int open_locked(const std::string& folder, const std::string& path) {
  for (;;) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd < 0)
      throw InputError(
          fmt::format("run directory {}: cannot create {}: {}", folder, RunLock::kName, std::strerror(errno)));
    const bool mine = lock(fd);
    if (mine && still_named(fd, path)) return fd;
    ::close(fd);
    if (!mine) fail_held(folder);
  }
}

}  // namespace

RunLock::RunLock(const std::string& folder) : path_(folder + "/" + kName), file_(open_locked(folder, path_)) {}

RunLock::~RunLock() {
  if (still_named(file_.get(), path_)) ::unlink(path_.c_str());  // a folder of the same name may have come since
}

void RunLock::require_free(const std::string& folder) {
  const std::string path = folder + "/" + kName;
  const FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() >= 0 && !lock(file.get())) fail_held(folder);
}

}  // namespace hso
