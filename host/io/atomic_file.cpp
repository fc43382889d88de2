// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/file_calls.hpp"

namespace hso {

detail::FileCalls& detail::file_calls() {
  static FileCalls calls{::write, ::fsync, std::rename, ::mkdir};
  return calls;
}

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_write(const std::string& path, int error) { fail_to("write the file", path, error); }

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// A terminal, a pipe, a device: nothing that a rename may replace.
bool is_special(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
}

std::string resolve_target(const std::string& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) throw InputError(fmt::format("{}: found a folder, expected a file name", path));
  if (is_special(path)) return path;
  const fs::path resolved = fs::weakly_canonical(path, failed);
  return failed ? path : resolved.string();
}

/// Beside the target, so that the rename stays inside one file system; unique in this process and among processes.
std::string temporary_name(const std::string& target) {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}.tmp-{}-{}", target, ::getpid(), counter++);
}

int open_for_writing(const std::string& path, const std::string& name, int flags) {
  const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
  if (fd >= 0) return fd;
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) fail_to_write(path, error);
  fail_to("create a file in the folder " + folder_of(path), path, error);
}

/// PID of "<name>.tmp-PID-N", 0 for other names.
pid_t writer_of(const std::string& name, const std::string& candidate) {
  const std::string start = name + ".tmp-";
  int pid = 0, number = 0, length = 0;
  if (!candidate.starts_with(start)) return 0;
  const std::string rest = candidate.substr(start.size());
  const bool whole = std::sscanf(rest.c_str(), "%9d-%9d%n", &pid, &number, &length) == 2 &&
                     static_cast<std::size_t>(length) == rest.size();
  return whole && pid > 0 ? pid : 0;
}

/// Whoever writes a temporary file holds a lock on it until it is renamed or the process ends: one that can be locked,
/// and whose process is no more (on this machine, for the moment before the lock is taken), is a left-over.
void remove_left_overs(const std::string& target) {
  std::error_code failed;
  const std::string name = fs::path(target).filename().string();
  fs::directory_iterator at(folder_of(target), failed);
  for (; !failed && at != fs::directory_iterator(); at.increment(failed)) {
    const pid_t writer = writer_of(name, at->path().filename().string());
    if (writer == 0 || ::kill(writer, 0) == 0 || errno != ESRCH) continue;
    const FileHandle handle(::open(at->path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (handle.get() >= 0 && ::flock(handle.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(at->path().c_str());
  }
}

/// Makes the rename itself durable; file systems that cannot sync a folder lose nothing but that.
void sync_folder(const std::string& folder) {
  const FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() >= 0) detail::file_calls().fsync(handle.get());
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(path),
      target_(resolve_target(path)),
      temporary_(is_special(target_) ? "" : temporary_name(target_)),
      file_(temporary_.empty() ? open_for_writing(path, target_, 0) : open_for_writing(path, temporary_, O_EXCL)) {
  if (temporary_.empty()) return;
  ::flock(file_.get(), LOCK_EX | LOCK_NB);
  struct stat info {};
  if (::stat(target_.c_str(), &info) == 0) ::fchmod(file_.get(), info.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = detail::file_calls().write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_to_write(path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void AtomicFile::commit() {
  if (!temporary_.empty() && detail::file_calls().fsync(file_.get()) != 0) fail_to_write(path_, errno);
  if (const int error = file_.close()) fail_to_write(path_, error);
  if (temporary_.empty()) return;
  if (detail::file_calls().rename(temporary_.c_str(), target_.c_str()) != 0) fail_to_write(path_, errno);
  temporary_.clear();
  sync_folder(folder_of(target_));
}

void require_writable_file(const std::string& path) {
  const std::string target = resolve_target(path);
  if (!is_special(target)) {
    const AtomicFile tried(path);
    remove_left_overs(target);
  } else if (::access(target.c_str(), W_OK) != 0) {
    fail_to_write(path, errno);
  }
}

void write_text_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace hso
