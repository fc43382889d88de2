// SPDX-License-Identifier: Apache-2.0
//
// Files in and out, with errors that start with the path: InputError for what cannot be opened, read or created,
// MemoryError when the disk (or a quota or file size limit) is full.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "hsogpu/core/types.hpp"

namespace hso {

/// "<path>: cannot <action>: <what errno means>".
[[noreturn]] void fail_to(const std::string& action, const std::string& path, int error);

/// An open file descriptor; closes it.
class FileHandle {
 public:
  explicit FileHandle(int fd = -1) : fd_(fd) {}
  ~FileHandle();
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  int get() const { return fd_; }
  /// Closes now; returns 0 or the errno of the failure.
  int close();
  /// The descriptor, for somebody else to close.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// A descriptor of the file, which the caller closes. Refuses what is no regular file before it is opened: opening a
/// pipe would wait for somebody to write to it. Every reader of the library goes by this.
int open_for_reading(const std::string& path);
/// True when something is there under this name, also when it cannot be looked at: reading it says why then.
bool is_there(const std::string& path);
/// Makes sure that `path` can be written, by making and removing a temporary file beside it, so that nothing is
/// computed in vain. A device or a pipe that is there is only asked for its permissions. Temporaries of `path` that
/// ended processes have left behind are removed: a living one holds a lock on its own.
void require_writable_file(const std::string& path);

/// Bytes read from front to back; how many there are is known, so readers can check it before they allocate.
class ByteReader {
 public:
  ByteReader(const std::string& path, std::uint64_t size) : path_(path), size_(size) {}
  virtual ~ByteReader() = default;
  const std::string& path() const { return path_; }  ///< for messages
  std::uint64_t size() const { return size_; }
  std::uint64_t remaining() const { return size_ - position_; }
  /// Fills the span; InputError names the byte offset where the data ended.
  virtual void read(Span<char> out) = 0;
  void skip(std::uint64_t bytes) { position_ += std::min(bytes, remaining()); }

 protected:
  std::string path_;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
};

/// A regular file.
class FileReader final : public ByteReader {
 public:
  explicit FileReader(const std::string& path);
  void read(Span<char> out) override;
  /// Fills the span from this byte on; the position of `read` stays.
  void read_at(std::uint64_t offset, Span<char> out) const;

 private:
  FileHandle file_;
};

/// Bytes in memory, which the caller keeps.
class MemoryReader final : public ByteReader {
 public:
  MemoryReader(const std::string& path, std::string_view bytes) : ByteReader(path, bytes.size()), bytes_(bytes) {}
  void read(Span<char> out) override;

 private:
  std::string_view bytes_;
};

/// Writes to a temporary name in the folder of `path`; `commit` flushes to the disk and renames. Without it the
/// destructor removes the temporary and an older file at `path` stays as it was. A link is followed; something that is
/// not a regular file (a terminal, a pipe) is written to directly. What a process that was killed leaves behind,
/// `<path>.tmp-PID-N`, goes when the output is asked for again (require_writable_file) or its run directory is used.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::string_view bytes);
  void commit();

 private:
  std::string path_;       ///< as the caller named it, for messages
  std::string target_;     ///< links resolved
  std::string temporary_;  ///< empty when there is none to remove
  FileHandle file_;
};

}  // namespace hso
