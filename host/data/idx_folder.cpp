// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "data/checks.hpp"
#include "hsogpu/core/error.hpp"

namespace hso {

namespace {

namespace fs = std::filesystem;

/// "train", "images", "3" -> the path of train-images-idx3-ubyte, with a dot before idx or not, packed or not.
std::string find_part(const fs::path& folder, const std::string& part, const std::string& what, int rank) {
  const bool labels = what == "labels";
  for (const char* dot : {"-", "."})
    for (const char* type : {"ubyte", "int", "short"})
      for (const char* gz : {"", ".gz"}) {
        const fs::path candidate = folder / fmt::format("{}-{}{}idx{}-{}{}", part, what, dot, rank, type, gz);
        if ((labels || std::string(type) == "ubyte") && fs::is_regular_file(candidate)) return candidate.string();
      }
  const std::string name = fmt::format("{}-{}-idx{}-ubyte", part, what, rank);
  throw InputError(
      fmt::format("{}: found neither {} nor {}.gz, expected the four IDX files {{train,t10k}}-"
                  "{{images-idx3,labels-idx1}}-ubyte[.gz] (or with a dot before idx)",
                  folder.string(), name, name));
}

Dataset read_part(const std::string& folder, const std::string& part, const DataOptions& options) {
  const std::string images = find_part(folder, part, "images", 3);
  return read_idx(images, find_part(folder, part, "labels", 1), options);
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

DataSplit read_idx_folder(const std::string& folder, const DataOptions& options) {
  if (!fs::is_directory(folder)) throw InputError(fmt::format("{}: no such folder, expected one of IDX files", folder));
  DataSplit out{read_part(folder, "train", options), read_part(folder, "t10k", options)};
  check_test_part(out.train, out.test, folder);
  out.train.name = out.test.name = folder;
  return out;
}

DataSplit fashion_mnist(const DataOptions& options) {
  const char* chosen = std::getenv("HSO_FASHION_MNIST");
  const std::string folder = chosen != nullptr ? chosen : "/usr/share/datasets/fashion-mnist";
  if (!fs::is_directory(folder))
    throw InputError(
        fmt::format("fashion-mnist: no folder {}{}; install Debian's package dataset-fashion-mnist, or set "
                    "HSO_FASHION_MNIST to a folder of the four IDX files",
                    folder, chosen != nullptr ? " (from HSO_FASHION_MNIST)" : ""));
  DataSplit out = read_idx_folder(folder, options);
  out.train.name = out.test.name = "fashion-mnist";
  return out;
}

}  // namespace hso
