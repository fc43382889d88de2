// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"
#include "io/file.hpp"

namespace hso {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_write(const std::string& path, int error) {
  const std::string message = fmt::format("{}: cannot write the file: {}", path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) throw MemoryError(message);
  throw InputError(message);
}

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
  if (error == ENOSPC || error == EDQUOT) fail_to_write(path, error);
  throw InputError(
      fmt::format("{}: cannot create a file in the folder {}: {}", path, folder_of(path), std::strerror(error)));
}

/// Makes the rename itself durable; file systems that cannot sync a folder lose nothing but that.
void sync_folder(const std::string& folder) {
  const FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() >= 0) ::fsync(handle.get());
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(path),
      target_(resolve_target(path)),
      temporary_(is_special(target_) ? "" : temporary_name(target_)),
      file_(temporary_.empty() ? open_for_writing(path, target_, 0) : open_for_writing(path, temporary_, O_EXCL)) {
  struct stat info {};
  if (!temporary_.empty() && ::stat(target_.c_str(), &info) == 0) ::fchmod(file_.get(), info.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_to_write(path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void AtomicFile::commit() {
  if (!temporary_.empty() && ::fsync(file_.get()) != 0) fail_to_write(path_, errno);
  if (const int error = file_.close()) fail_to_write(path_, error);
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail_to_write(path_, errno);
  temporary_.clear();
  sync_folder(folder_of(target_));
}

void write_text_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace hso
