// SPDX-License-Identifier: Apache-2.0
#include "io/zip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "backend/host_memory.hpp"
#include "hsogpu/core/error.hpp"

namespace hso {

namespace {

constexpr std::uint64_t kEndSize = 22, kEntrySize = 46, kLocalSize = 30, kLocatorSize = 20, kEnd64Size = 56;
constexpr std::uint64_t kLongestComment = 0xffff;
constexpr std::uint64_t kIn64 = 0xffffffff;  // the value stands in a Zip64 record
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint64_t kLargestRatio = 1100;  // deflate reaches 1,032

/// Little-endian.
std::uint64_t number(const std::string& bytes, std::size_t offset, std::size_t width) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < width; ++i)
    out |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[offset + i])) << (8 * i);
  return out;
}

/// Replaces what did not fit 32 bits by the numbers of the Zip64 field.
bool read_extra(const std::string& extra, ZipEntry& entry) {
  for (std::size_t at = 0; at + 4 <= extra.size();) {
    const std::size_t length = number(extra, at + 2, 2), begin = at + 4, end = begin + length;
    if (end > extra.size()) return false;
    if (number(extra, at, 2) == 1) {
      std::size_t next = begin;
      for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.header}) {
        if (*value != kIn64) continue;
        if (next + 8 > end) return false;
        *value = number(extra, next, 8);
        next += 8;
      }
    }
    at = end;
  }
  return true;
}

}  // namespace

void ZipFile::fail(const std::string& message) const { throw InputError(fmt::format("{}: {}", path(), message)); }

std::string ZipFile::at(std::uint64_t offset, std::uint64_t size, const char* what) const {
  if (offset > file_.size() || size > file_.size() - offset)
    fail(fmt::format("{} at byte {} needs {} bytes, but the file has {}", what, offset, size, file_.size()));
  std::string out(size, '\0');
  file_.read_at(offset, out);
  return out;
}

ZipFile::ZipFile(const std::string& path) : file_(path) { read_directory(); }

void ZipFile::read_directory() {
  const std::uint64_t tail_size = std::min(file_.size(), kEndSize + kLongestComment);
  const std::string tail = at(file_.size() - tail_size, tail_size, "the end");
  const std::size_t end = tail.size() < kEndSize ? std::string::npos : tail.rfind("PK\5\6", tail.size() - kEndSize);
  if (end == std::string::npos) fail("found no ZIP directory, expected a .npz file as numpy.savez writes it");
  std::uint64_t count = number(tail, end + 10, 2), size = number(tail, end + 12, 4), start = number(tail, end + 16, 4);
  const std::uint64_t end_at = file_.size() - tail_size + end;
  if (start == kIn64 || size == kIn64 || count == 0xffff) {
    if (end_at < kLocatorSize) fail("the Zip64 directory is missing");
    const std::string locator = at(end_at - kLocatorSize, kLocatorSize, "the Zip64 locator");
    if (!locator.starts_with("PK\6\7")) fail("the Zip64 directory is missing");
    const std::string record = at(number(locator, 8, 8), kEnd64Size, "the Zip64 directory");
    if (!record.starts_with("PK\6\6")) fail("the Zip64 directory is missing");
    count = number(record, 32, 8);
    size = number(record, 40, 8);
    start = number(record, 48, 8);
  }
  const std::string directory = at(start, size, "the ZIP directory");
  std::size_t position = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (position + kEntrySize > directory.size() || directory.compare(position, 4, "PK\1\2") != 0)
      fail(fmt::format("the ZIP directory ends or breaks off at entry {} of {}", i, count));
    ZipEntry entry;
    entry.flags = static_cast<std::uint16_t>(number(directory, position + 8, 2));
    entry.method = static_cast<std::uint16_t>(number(directory, position + 10, 2));
    entry.crc = static_cast<std::uint32_t>(number(directory, position + 16, 4));
    entry.packed = number(directory, position + 20, 4);
    entry.size = number(directory, position + 24, 4);
    entry.header = number(directory, position + 42, 4);
    const std::size_t name = number(directory, position + 28, 2), extra = number(directory, position + 30, 2),
                      comment = number(directory, position + 32, 2);
    if (position + kEntrySize + name + extra + comment > directory.size())
      fail(fmt::format("the ZIP directory ends inside entry {}", i));
    entry.name = directory.substr(position + kEntrySize, name);
    if (!read_extra(directory.substr(position + kEntrySize + name, extra), entry))
      fail(fmt::format("the sizes of entry {} of the ZIP directory are damaged", i));
    entries_.push_back(std::move(entry));
    position += kEntrySize + name + extra + comment;
  }
}

std::string ZipFile::extract(const ZipEntry& entry) const {
  if ((entry.flags & kEncrypted) != 0) fail(entry.name + " is encrypted");
  if (entry.method != 0 && entry.method != 8)
    fail(fmt::format("{} is packed by method {}, expected 0 (stored) or 8 (deflated)", entry.name, entry.method));
  const std::string local = at(entry.header, kLocalSize, "the header of an entry");
  if (!local.starts_with("PK\3\4")) fail(fmt::format("{}: no header at byte {}", entry.name, entry.header));
  const std::uint64_t data = entry.header + kLocalSize + number(local, 26, 2) + number(local, 28, 2);
  std::string bytes = at(data, entry.packed, "an entry");
  if (entry.method == 8) bytes = inflated(entry, bytes);
  if (bytes.size() != entry.size)
    fail(fmt::format("{} has {} bytes, expected {} as the directory says", entry.name, bytes.size(), entry.size));
  uLong crc = crc32(0, nullptr, 0);
  for (std::size_t begin = 0; begin < bytes.size(); begin += std::size_t{1} << 30)
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()) + begin,
                static_cast<uInt>(std::min(bytes.size() - begin, std::size_t{1} << 30)));
  if (crc != entry.crc) fail(fmt::format("{} is damaged: its checksum does not fit", entry.name));
  return bytes;
}

std::string ZipFile::inflated(const ZipEntry& entry, const std::string& packed) const {
  if (entry.size / kLargestRatio > packed.size())
    fail(fmt::format("{} claims {} bytes from {}, more than deflated data can hold", entry.name, entry.size,
                     packed.size()));
  if (entry.size > static_cast<std::uint64_t>(detail::host_memory().free_bytes / 2))
    throw MemoryError(
        fmt::format("{}: {} claims {} bytes, too many for the memory that is free", path(), entry.name, entry.size));
  std::string out(entry.size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw MemoryError(path() + ": zlib cannot be started");
  constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  std::size_t in_left = packed.size(), out_left = out.size();
  int code = Z_OK;
  while (code == Z_OK) {
    if (stream.avail_in == 0) in_left -= stream.avail_in = static_cast<uInt>(std::min(in_left, kMost));
    if (stream.avail_out == 0) out_left -= stream.avail_out = static_cast<uInt>(std::min(out_left, kMost));
    code = inflate(&stream, Z_NO_FLUSH);
  }
  const std::size_t made = out.size() - out_left - stream.avail_out;
  inflateEnd(&stream);
  if (code != Z_STREAM_END) fail(fmt::format("{} is damaged: its deflated data is wrong or ends early", entry.name));
  out.resize(made);
  return out;
}

}  // namespace hso
