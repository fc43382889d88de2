// SPDX-License-Identifier: Apache-2.0
#include "io/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"

namespace hso {

void fail_to(const std::string& action, const std::string& path, int error) {
  const std::string message = fmt::format("{}: cannot {}: {}", path, action, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) throw MemoryError(message);
  throw InputError(message);
}

namespace {

void require_regular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return;
  throw InputError(fmt::format("{}: found {}, expected a regular file", path,
                               S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe"));
}

struct stat info_of(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_to("read the file", path, errno);
  return info;
}

/// Bytes that `read` has read, 0 at the end of the file.
template <class Read>
std::size_t read_some(const std::string& path, const Read& read) {
  ssize_t n = 0;
  do {
    n = read();
  } while (n < 0 && errno == EINTR);
  if (n < 0) fail_to("read the file", path, errno);
  return static_cast<std::size_t>(n);
}

}  // namespace

/// Not blocking, and looked at again: the name may have become a pipe's since.
int open_for_reading(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail_to("open the file", path, errno);
  require_regular(path, info);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail_to("open the file", path, errno);
  FileHandle file(fd);
  require_regular(path, info_of(fd, path));
  return file.release();
}

bool is_there(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

FileHandle::~FileHandle() { close(); }

int FileHandle::close() {
  if (fd_ < 0) return 0;
  const int result = ::close(fd_);
  fd_ = -1;
  return result == 0 ? 0 : errno;
}

FileReader::FileReader(const std::string& path) : ByteReader(path, 0), file_(open_for_reading(path)) {
  size_ = static_cast<std::uint64_t>(info_of(file_.get(), path).st_size);
}

void FileReader::read(Span<char> out) {
  read_at(position_, out);
  position_ += out.size();
}

void FileReader::read_at(std::uint64_t offset, Span<char> out) const {
  while (!out.empty()) {
    const std::size_t n =
        read_some(path_, [&] { return ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
    if (n == 0)
      throw InputError(fmt::format("{}: the file ends at byte {}, expected {} more", path_, offset, out.size()));
    offset += n;
    out = out.subspan(n);
  }
}

void MemoryReader::read(Span<char> out) {
  if (out.size() > remaining())
    throw InputError(fmt::format("{}: the data ends at byte {}, expected {} more", path_, size_,
                                 out.size() - static_cast<std::size_t>(remaining())));
  bytes_.copy(out.data(), out.size(), static_cast<std::size_t>(position_));
  position_ += out.size();
}

std::string read_text(const std::string& path) {
  const FileHandle file(open_for_reading(path));
  std::string text;
  std::array<char, 1 << 16> chunk;
  const auto read = [&] { return ::read(file.get(), chunk.data(), chunk.size()); };
  while (const std::size_t n = read_some(path, read)) text.append(chunk.data(), n);
  return text;
}

}  // namespace hso
