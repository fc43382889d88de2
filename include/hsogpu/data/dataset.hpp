// SPDX-License-Identifier: Apache-2.0
//
// Data sets in host memory, and the readers that fill them.
//
// Every reader checks what it reads and throws InputError that names the file and the line, row or byte offset,
// what was found and what was expected; a missing or unreadable file is an InputError too.
// No reader returns a half-read set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

/// Where a data set came from, as its reader saw it.
struct DataSource {
  std::string format{};  ///< "csv", "npy", "npz", "idx", "text", "wav" or "embedded"; empty: made in memory
  std::string detail{};  ///< for people: "separated by ';', line 1 names the columns"
  std::string dtype{};   ///< of the inputs in the file: "float64", "uint8", "text"
  std::string labels{};  ///< the file, array or column that the targets are from
  std::vector<std::string> class_names{};   ///< of text labels: class i is called class_names[i]
  std::vector<std::string> column_names{};  ///< of the inputs of a CSV file with a header
  std::vector<std::string> notes{};         ///< what looks odd
};

/// `size` samples. `classes > 0`: classification, `targets` holds whole numbers in [0, classes), one for each
/// sample (`target_shape` {}) or each step of a sequence ({steps}), where -1 stands for none. `classes == 0`:
/// regression, `targets` is [size][target_shape].
struct Dataset {
  std::string name;  ///< "digits", "fashion-mnist", or the path it came from
  Index size = 0;
  Shape input_shape;           ///< of one sample: {C, H, W} or {features}
  std::vector<double> inputs;  ///< [size][input_shape]
  Shape target_shape;
  std::vector<double> targets;
  Index classes = 0;
  DataSource source{};

  /// Throws InputError when sizes disagree, a value is not finite, or a label is outside [0, classes), or no
  /// step of a sequence has one.
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

/// Whether the first line of a CSV file names its columns.
enum class CsvHeader {
  automatic,  ///< it does when its fields are words (or quoted) and those of the second line are numbers
  yes,
  no
};

/// What the targets of a file are taken for.
enum class Targets {
  automatic,  ///< whole numbers [N] and one-hot rows [N, C > 1] are classes, any other rows [N, outputs] are values
  classes,    ///< whole numbers [N] or [N, 1], or one-hot rows; anything else is an InputError
  values      ///< values, [N] and the label column of a CSV file too
};

/// How a file is read, where it does not say so itself.
struct DataOptions {
  CsvHeader header = CsvHeader::automatic;
  /// CSV: the column that holds the label, by its name in the header or its number from 0 (negative: from the end).
  /// Empty: the one named label, class, target or y (in any case), else the last.
  std::string label{};
  char separator = 0;  ///< CSV: ',', ';', '\t', '|' or ' ' (then any number of them is one); 0: the first lines tell
  Targets targets = Targets::automatic;
  Index outputs = 0;  ///< of the model: labels must lie below it; 0: any label
  Index window = 0;   ///< text and sounds: characters or frames of a sample, the length of the model's input
  Index steps = 0;  ///< npy, npz: with classes, targets [N, steps] are one for each step, -1 for none; 0: no such rows
  Index bands = 0;  ///< sounds: numbers of a frame, as the model's input has them
  /// Classes by name, as in the data that a network was trained on: other names are InputErrors, and so are names
  /// where the list is empty. Without, text labels are numbered in sorted order.
  std::optional<std::vector<std::string>> class_names{};
};
CsvHeader parse_csv_header(const std::string& word);  ///< "auto", "yes", "no"; UsageError otherwise
/// "auto", "comma", "semicolon", "tab", "bar", "space", or the character itself; UsageError otherwise.
char parse_csv_separator(const std::string& word);

/// IDX (magic 0x0000, type, rank; big endian), plain or gzip: images [N][H][W] and labels [N] of any of its number
/// types.
Dataset read_idx(const std::string& images_path, const std::string& labels_path, const DataOptions& options = {});

/// A folder that holds the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]; a dot may stand before idx,
/// and the labels may end in -int or -short.
DataSplit read_idx_folder(const std::string& folder, const DataOptions& options = {});

/// Debian's dataset-fashion-mnist (`/usr/share/datasets/fashion-mnist`), or the folder in HSO_FASHION_MNIST.
DataSplit fashion_mnist(const DataOptions& options = {});

/// One sample a line, plain or gzip: numbers, and a label (a whole number from 0, or text). Fields may be quoted (RFC
/// 4180), lines blank or comments (from #). What was taken for what is in `source`.
Dataset read_csv(const std::string& path, const DataOptions& options = {});

/// `x.npy` [N, ...input shape] and `y.npy` (see Targets), of any float or integer type.
Dataset read_npy_pair(const std::string& x_path, const std::string& y_path, const DataOptions& options = {});
/// The same from two arrays of one .npz file, stored or deflated.
Dataset read_npz_pair(const std::string& path, const std::string& x_name = "x", const std::string& y_name = "y",
                      const DataOptions& options = {});

/// A text (UTF-8 or Latin-1, plain or gzip) for language models: sample i are its characters [i window, (i + 1) window)
/// as numbers, the class of each is the character behind it. `source.class_names` is the vocabulary: the characters
/// that occur, sorted, or those of the options. InputError names the line of a character that is not among these.
Dataset read_characters(const std::string& path, Index window, const DataOptions& options = {});

/// A folder with a folder of .wav files (PCM of 8 to 32 bits or 32 bit floats, channels are averaged) for each class.
/// Inputs [steps][bands] are logarithms of energies in bands of the mel scale, a frame every 10 ms; a longer sound is
/// cut, a shorter one is followed by silence. Classes are in the order of the folders' names, or as in the options.
/// InputError names a file that is damaged, and the sample whose rate is not that of the first.
Dataset read_sounds(const std::string& folder, Index steps, Index bands, const DataOptions& options = {});

/// What `--data` means: "digits", "fashion-mnist", "x.npy,y.npy", "file.npz" (arrays x and y), "file.npz:X:Y",
/// "file.csv" (or .tsv, .txt, .data; each also .gz), "text:FILE", "wav:FOLDER", or a folder of IDX files.
/// Sets without a test part of their own are split: `test_fraction` of them (360 for digits), by `seed`; of a text the
/// end.
/// UsageError for options of CSV files beside data of another kind.
DataSplit load_data(const std::string& spec, double test_fraction, std::uint64_t seed, const DataOptions& options = {});

/// The same without a split: everything (for IDX folders the training part).
Dataset load_all(const std::string& spec, const DataOptions& options = {});

/// Whether this is the name of a table: it ends in .csv, .tsv, .txt or .data, or in one of these and .gz.
bool is_csv(const std::string& spec);

/// x -> (x - mean) / scale in double precision, fitted on the training part and applied to both. Every command and
/// every format has the same default: unit_range.
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
  /// InputError names the sample when a scaled input is not finite.
  void apply(Dataset& data) const;
};

}  // namespace hso
