// SPDX-License-Identifier: Apache-2.0
#include "data/gzip.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "backend/host_memory.hpp"
#include "hsogpu/core/error.hpp"
#include "io/file.hpp"

namespace hso {

GzipReader::GzipReader(const std::string& path) : path_(path), file_(nullptr, &gzclose) {
  FileHandle file(open_for_reading(path));
  file_.reset(gzdopen(file.get(), "rb"));
  if (!file_) throw MemoryError(path + ": zlib cannot be started");
  file.release();
  gzbuffer(file_.get(), 1 << 17);
}

std::size_t GzipReader::read(Span<unsigned char> out) {
  const int n = gzread(file_.get(), out.data(), static_cast<unsigned>(out.size()));
  int code = Z_OK;
  const char* reason = gzerror(file_.get(), &code);
  if (n >= 0 && (code == Z_OK || code == Z_STREAM_END)) return static_cast<std::size_t>(n);
  throw InputError(fmt::format("{}: cannot read the file: {}", path_,
                               code == Z_ERRNO       ? std::strerror(errno)
                               : code == Z_BUF_ERROR ? "the compressed data ends early"
                                                     : reason));
}

UnpackedText read_unpacked(const std::string& path) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  // Text that grows is copied, and its numbers are kept beside it.
  const auto most = static_cast<std::size_t>(detail::host_memory().free_bytes / 4);
  GzipReader file(path);
  UnpackedText out;
  std::error_code unknown;
  if (const auto size = std::filesystem::file_size(path, unknown); !unknown && size < most)
    out.text.reserve(size + kStep);
  for (std::size_t n = kStep; n == kStep;) {
    const std::size_t begin = out.text.size();
    if (begin > most)
      throw MemoryError(fmt::format("{}: holds more than {} MB unpacked, too much for the memory that is free", path,
                                    most / 1000000));
    out.text.resize(begin + kStep);
    n = file.read(Span<unsigned char>(reinterpret_cast<unsigned char*>(out.text.data()) + begin, kStep));
    out.text.resize(begin + n);
  }
  out.compressed = file.compressed();
  return out;
}

}  // namespace hso
