// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "data/checks.hpp"
#include "hsogpu/data.hpp"
#include "hsogpu/error.hpp"
#include "io/file.hpp"

namespace hso {

namespace {

namespace fs = std::filesystem;
using Byte = unsigned char;

/// A file, plain or gzip (zlib tells them apart by the first bytes).
class GzipReader {
 public:
  explicit GzipReader(const std::string& path) : path_(path), file_(nullptr, &gzclose) {
    require_regular_file(path);
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) throw InputError(fmt::format("{}: cannot open the file: {}", path, std::strerror(errno)));
    gzbuffer(file_.get(), 1 << 17);
  }

  const std::string& path() const { return path_; }

  /// Bytes read; fewer than asked for only at the end. InputError when the compressed data is damaged or ends early.
  std::size_t read(Span<Byte> out) {
    const int n = gzread(file_.get(), out.data(), static_cast<unsigned>(out.size()));
    int code = Z_OK;
    const char* reason = gzerror(file_.get(), &code);
    if (n >= 0 && (code == Z_OK || code == Z_STREAM_END)) return static_cast<std::size_t>(n);
    throw InputError(fmt::format("{}: cannot read the file: {}", path_,
                                 code == Z_ERRNO       ? std::strerror(errno)
                                 : code == Z_BUF_ERROR ? "the compressed data ends early"
                                                       : reason));
  }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, decltype(&gzclose)> file_;
};

Index big_endian(const Byte* p) { return Index{p[0]} << 24 | Index{p[1]} << 16 | Index{p[2]} << 8 | Index{p[3]}; }

struct IdxFile {
  Shape shape;
  std::vector<Byte> bytes;
};

/// Bytes 0, 0, 8 (unsigned bytes), rank; then each extent in 4 bytes.
Shape read_idx_header(GzipReader& file, int rank, const char* what) {
  std::array<Byte, 4> magic{};
  const std::size_t found = file.read(magic);
  const std::array<Byte, 4> expected = {0, 0, 8, static_cast<Byte>(rank)};
  if (found < 4)
    throw InputError(fmt::format("{}: found {} bytes, expected an IDX file of {}", file.path(), found, what));
  if (magic != expected)
    throw InputError(fmt::format("{}: found the magic number 0x{:08x}, expected 0x{:08x} (IDX, {})", file.path(),
                                 big_endian(magic.data()), big_endian(expected.data()), what));
  std::array<Byte, 4 * Shape::kMaxRank> extents{};
  const auto length = static_cast<std::size_t>(4 * rank);
  if (file.read(Span<Byte>(extents.data(), length)) < length)
    throw InputError(fmt::format("{}: the IDX header ends early, expected {} extents", file.path(), rank));
  std::array<Index, Shape::kMaxRank> sizes{};
  for (int a = 0; a < rank; ++a) sizes[static_cast<std::size_t>(a)] = big_endian(extents.data() + 4 * a);
  return Shape(Span<const Index>(sizes.data(), static_cast<std::size_t>(rank)));
}

/// Grows in steps, so that a header that promises too much costs no memory.
std::vector<Byte> read_bytes(GzipReader& file, std::size_t count) {
  constexpr std::size_t kStep = std::size_t{1} << 24;
  std::vector<Byte> out;
  while (out.size() < count) {
    const std::size_t begin = out.size(), step = std::min(kStep, count - begin);
    out.resize(begin + step);
    const std::size_t n = file.read(Span<Byte>(out.data() + begin, step));
    if (n < step)
      throw InputError(fmt::format("{}: found {} bytes of data, expected {}", file.path(), begin + n, count));
  }
  Byte extra = 0;
  if (file.read(Span<Byte>(&extra, 1)) != 0)
    throw InputError(fmt::format("{}: bytes follow the data, expected its end after {} bytes", file.path(), count));
  return out;
}

Index idx_bytes(const std::string& path, const Shape& shape) {
  try {
    return shape.size();
  } catch (const InputError&) {
    throw InputError(fmt::format("{}: found the extents {}, more than 64 bits can count", path, shape.to_string()));
  }
}

IdxFile read_idx_file(const std::string& path, int rank, const char* what) {
  GzipReader file(path);
  const Shape shape = read_idx_header(file, rank, what);
  const Index bytes = idx_bytes(path, shape);
  if (bytes == 0)
    throw InputError(fmt::format("{}: found the extents {}, expected none of 0", path, shape.to_string()));
  return {shape, read_bytes(file, static_cast<std::size_t>(bytes))};
}

std::string with_or_without_gz(const fs::path& folder, const std::string& name) {
  for (const fs::path& candidate : {folder / name, folder / (name + ".gz")})
    if (fs::is_regular_file(candidate)) return candidate.string();
  throw InputError(
      fmt::format("{}: found neither {} nor {}.gz, expected the four IDX files {{train,t10k}}-"
                  "{{images-idx3,labels-idx1}}-ubyte[.gz]",
                  folder.string(), name, name));
}

Dataset read_part(const std::string& folder, const std::string& part) {
  const std::string images = with_or_without_gz(folder, part + "-images-idx3-ubyte");
  const std::string labels = with_or_without_gz(folder, part + "-labels-idx1-ubyte");
  return read_idx(images, labels);
}

/// The training part decides the shape and the classes.
void check_test_part(const Dataset& train, Dataset& test, const std::string& folder) {
  if (test.input_shape != train.input_shape)
    throw InputError(fmt::format("{}: t10k images have shape {}, expected {} as in the training part", folder,
                                 test.input_shape.to_string(), train.input_shape.to_string()));
  if (test.classes > train.classes)
    throw InputError(fmt::format("{}: t10k labels go up to {}, expected at most {} as in the training part", folder,
                                 test.classes - 1, train.classes - 1));
  test.classes = train.classes;
}

}  // namespace

Dataset read_idx(const std::string& images_path, const std::string& labels_path) {
  const IdxFile images = read_idx_file(images_path, 3, "images [N][H][W]");
  const IdxFile labels = read_idx_file(labels_path, 1, "labels [N]");
  const Index n = images.shape[0];
  if (labels.shape[0] != n)
    throw InputError(
        fmt::format("{}: found {} labels, expected {} as {} has images", labels_path, labels.shape[0], n, images_path));
  Dataset data{images_path, n, Shape{1, images.shape[1], images.shape[2]}, {}, Shape{}, {}, 0};
  data.inputs.assign(images.bytes.begin(), images.bytes.end());
  data.targets.assign(labels.bytes.begin(), labels.bytes.end());
  data.classes = count_classes(labels_path, data.targets);
  return data;
}

DataSplit read_idx_folder(const std::string& folder) {
  if (!fs::is_directory(folder)) throw InputError(fmt::format("{}: no such folder, expected one of IDX files", folder));
  DataSplit out{read_part(folder, "train"), read_part(folder, "t10k")};
  check_test_part(out.train, out.test, folder);
  out.train.name = out.test.name = folder;
  return out;
}

DataSplit fashion_mnist() {
  const char* chosen = std::getenv("HSO_FASHION_MNIST");
  const std::string folder = chosen != nullptr ? chosen : "/usr/share/datasets/fashion-mnist";
  if (!fs::is_directory(folder))
    throw InputError(
        fmt::format("fashion-mnist: no folder {}{}; install Debian's package dataset-fashion-mnist, or set "
                    "HSO_FASHION_MNIST to a folder of the four IDX files",
                    folder, chosen != nullptr ? " (from HSO_FASHION_MNIST)" : ""));
  DataSplit out = read_idx_folder(folder);
  out.train.name = out.test.name = "fashion-mnist";
  return out;
}

}  // namespace hso
