// SPDX-License-Identifier: Apache-2.0
//
// Data sets in host memory, and the readers that fill them.
//
// Every reader checks what it reads and throws InputError that names the file and the line, row or byte offset,
// what was found and what was expected; a missing or unreadable file is an InputError too.
// No reader returns a half-read set.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hsogpu/types.hpp"

namespace hso {

/// `size` samples. `classes > 0`: classification, `targets` holds `size` whole numbers in [0, classes), `target_shape`
/// is {}. `classes == 0`: regression, `targets` is [size][target_shape].
struct Dataset {
  std::string name;  ///< "digits", "fashion-mnist", or the path it came from
  Index size = 0;
  Shape input_shape;           ///< of one sample: {C, H, W} or {features}
  std::vector<double> inputs;  ///< [size][input_shape]
  Shape target_shape;
  std::vector<double> targets;
  Index classes = 0;

  /// Throws InputError when sizes disagree, a value is not finite, or a label is outside [0, classes).
  void validate() const;
  /// The samples with these indices, in this order.
  Dataset subset(Span<const Index> indices) const;
  /// The inputs become the targets, as an autoencoder wants; labels are forgotten.
  void reconstruct();
};

struct DataSplit {
  Dataset train;
  Dataset test;
};

/// The 1,797 8x8 digits (UCI "Optical Recognition of Handwritten Digits", test part; Alpaydin and Kaynak 1998, CC
/// BY 4.0) compiled into the library, in file order. Values 0..16, input_shape {1, 8, 8}.
Dataset digits();

/// Random split: a Fisher-Yates shuffle of 0..size-1 driven by Philox4x32-10 (the same on every platform), the first
/// `test_size` indices become the test set. digits use 360.
DataSplit split(const Dataset& data, Index test_size, std::uint64_t seed);

/// The permutation that `split` and the mini-batch order use.
std::vector<Index> shuffled_indices(Index n, std::uint64_t seed);

/// IDX (magic 0x0000 08 dims, big endian), plain or gzip: images [N][H][W] and labels [N]. Values 0..255.
Dataset read_idx(const std::string& images_path, const std::string& labels_path);

/// A folder that holds the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz].
DataSplit read_idx_folder(const std::string& folder);

/// Debian's dataset-fashion-mnist (`/usr/share/datasets/fashion-mnist`), or the folder in HSO_FASHION_MNIST.
DataSplit fashion_mnist();

struct CsvOptions {
  int label_column = -1;  ///< counted from 0; negative counts from the end
  bool header = false;    ///< skip the first line
  char separator = ',';
};
/// One sample a line, all fields numbers, all lines equally long; the label column holds a whole number from 0.
Dataset read_csv(const std::string& path, const CsvOptions& options = {});

/// `x.npy` [N, ...input shape] (any float or integer type) and `y.npy` [N] integers (classes) or [N, outputs] floats.
Dataset read_npy_pair(const std::string& x_path, const std::string& y_path);

/// What `--data` means: "digits", "fashion-mnist", "x.npy,y.npy", "file.csv" (the label last; a first line of words is
/// skipped), or a folder of IDX files.
/// Sets without a test part of their own are split: `test_fraction` of them (360 for digits), by `seed`.
DataSplit load_data(const std::string& spec, double test_fraction, std::uint64_t seed);

/// The same without a split: everything (for IDX folders the training part).
Dataset load_all(const std::string& spec);

/// x -> (x - mean) / scale, fitted on the training part and applied to both.
enum class Scaling {
  none,
  unit_range,   ///< divide by the largest absolute training value (digits: 16, images: 255)
  standard,     ///< one mean and standard deviation over all features
  per_feature,  ///< a mean and standard deviation for each feature; constant features are only shifted
};
Scaling parse_scaling(const std::string& word);  ///< "none", "unit", "standard", "per-feature"; UsageError otherwise
const char* scaling_name(Scaling scaling);

struct Standardizer {
  std::vector<double> mean;  ///< one entry, or one for each feature
  std::vector<double> scale;
  static Standardizer fit(const Dataset& train, Scaling scaling);
  void apply(Dataset& data) const;
};

}  // namespace hso
