// SPDX-License-Identifier: Apache-2.0
//
// Data sets from files: IDX, .npy pairs, and the words that --data takes (CSV: csv_test.cpp).
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "hsogpu/data/io.hpp"
#include "support/bytes.hpp"
#include "support/messages.hpp"
#include "support/reference_data.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::starts_with;
using test::TempDir;

using Numbers = std::vector<double>;

std::vector<int> class_counts(const Dataset& data) {
  std::vector<int> counts(static_cast<std::size_t>(data.classes));
  for (double label : data.targets) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

/// IDX bytes: 0, 0, 8, rank, the extents big-endian, the data.
std::string idx_bytes(const std::vector<int>& extents, const std::string& data) {
  std::string out("\0\0\x08", 3);
  out += static_cast<char>(extents.size());
  for (int e : extents)
    for (int shift : {24, 16, 8, 0}) out += static_cast<char>(e >> shift & 0xff);
  return out + data;
}

std::string gzip(const std::string& bytes) {
  const TempDir dir;
  const std::string path = dir.file("x.gz");
  gzFile file = gzopen(path.c_str(), "wb");
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
  return read_text(path);
}

const std::string kImages = idx_bytes({2, 1, 3}, "\x01\x02\x03\x04\x05\xff");
const std::string kLabels = idx_bytes({2}, std::string("\x01\x00", 2));

TEST(Idx, ReadsPlainAndGzip) {
  const TempDir dir;
  for (bool packed : {false, true}) {
    const Dataset data =
        read_idx(dir.write("i", packed ? gzip(kImages) : kImages), dir.write("l", packed ? gzip(kLabels) : kLabels));
    data.validate();
    EXPECT_EQ(data.input_shape, (Shape{1, 1, 3}));
    EXPECT_EQ(data.inputs, (Numbers{1, 2, 3, 4, 5, 255}));
    EXPECT_EQ(data.targets, (Numbers{1, 0}));
    EXPECT_EQ(data.classes, 2);
  }
}

TEST(Idx, LabelsOfEveryIntegerTypeAndNoneElse) {
  const TempDir dir;
  const std::string images = dir.write("images", kImages);
  const auto labels_of = [&](int type, const std::string& data) {
    return dir.write("labels", test::bytes_of({0, 0, type, 1, 0, 0, 0, 2}) + data);
  };
  const std::string wide("\x00\x00\x00\x01\x00\x00\x00\x00", 8);
  EXPECT_EQ(read_idx(images, labels_of(0x09, "\x01\x02")).targets, (Numbers{1, 2}));
  EXPECT_EQ(read_idx(images, labels_of(0x0b, wide.substr(2, 4))).targets, (Numbers{1, 0}));
  EXPECT_EQ(read_idx(images, labels_of(0x0c, wide)).targets, (Numbers{1, 0}));
  const auto error = [&](int type, const std::string& data) {
    const std::string path = labels_of(type, data);
    return message_of<InputError>([&] { read_idx(images, path, {.outputs = 2}); });
  };
  EXPECT_TRUE(starts_with(error(0x0a, wide), dir.file("labels"), "numbers of type 0x0a, expected 0x08"));
  EXPECT_TRUE(contains(error(0x0c, wide + "x"), "bytes follow the data, expected its end after 8 bytes"));
  EXPECT_TRUE(contains(error(0x09, "\x01\xff"), "labels: sample 1 has label -1, expected a whole number"));
  EXPECT_TRUE(contains(error(0x08, "\x02\x01"), "labels: sample 0 has label 2, expected 0 to 1", "run from 1"));
}

TEST(Idx, NamesTheFileThatIsWrong) {
  const TempDir dir;
  const std::string good_labels = dir.write("labels", kLabels), good_images = dir.write("images", kImages);
  const auto images_error = [&](const std::string& bytes) {
    const std::string path = dir.write("bad", bytes);
    const std::string message = message_of<InputError>([&] { read_idx(path, good_labels); });
    EXPECT_TRUE(starts_with(message, path + ": "));
    return message;
  };
  EXPECT_TRUE(
      contains(images_error(kLabels), "magic number 0x00000801, expected 0x00000803", "(IDX, images [N][H][W])"));
  EXPECT_TRUE(contains(images_error("no IDX file at all"), "magic number 0x6e6f2049"));
  EXPECT_TRUE(contains(images_error("ab"), "found 2 bytes"));
  EXPECT_TRUE(contains(images_error(""), "found 0 bytes"));
  EXPECT_TRUE(contains(images_error(kImages.substr(0, 11)), "header ends early"));
  EXPECT_TRUE(contains(images_error(kImages.substr(0, kImages.size() - 1)), "found 5 bytes of data, expected 6"));
  EXPECT_TRUE(contains(images_error(kImages + "x"), "bytes follow the data, expected its end after 6 bytes"));
  EXPECT_TRUE(contains(images_error(gzip(kImages + "x")), "bytes follow the data"));
  EXPECT_TRUE(contains(images_error(idx_bytes({2, 0, 3}, "")), "extents [2, 0, 3], expected none of 0"));
  EXPECT_TRUE(contains(images_error(idx_bytes({-1, -1, -1}, "x")), "more than 64 bits can count"));
  EXPECT_TRUE(
      contains(images_error(idx_bytes({-1, 1024, 1024}, "x")), "found 1 bytes of data, expected 4503599626321920"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_idx(dir.file("none"), good_labels); }), "cannot open"));
  EXPECT_TRUE(
      starts_with(message_of<InputError>([&] { read_idx(good_images, dir.write("three", idx_bytes({3}, "abc"))); }),
                  dir.file("three"), "found 3 labels, expected 2 as " + good_images));
}

TEST(Idx, RefusesDamagedGzip) {
  const TempDir dir;
  const std::string labels = dir.write("labels", kLabels), packed = gzip(kImages);
  const std::string cut = dir.write("cut.gz", packed.substr(0, packed.size() - 9));
  EXPECT_TRUE(
      starts_with(message_of<InputError>([&] { read_idx(cut, labels); }), cut, "the compressed data ends early"));
  std::string flipped = packed;
  flipped[flipped.size() - 6] ^= 1;  // in the checksum
  const std::string bad = dir.write("crc.gz", flipped);
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { read_idx(bad, labels); }), bad, "cannot read"));
}

void write_folder(const TempDir& dir, const std::string& test_images, const std::string& test_labels) {
  dir.write("train-images-idx3-ubyte", kImages);
  dir.write("train-labels-idx1-ubyte.gz", gzip(kLabels));
  dir.write("t10k-images-idx3-ubyte.gz", gzip(test_images));
  dir.write("t10k-labels-idx1-ubyte", test_labels);
}

TEST(IdxFolder, ReadsFourFiles) {
  const TempDir dir;
  write_folder(dir, idx_bytes({1, 1, 3}, "abc"), idx_bytes({1}, std::string(1, '\0')));
  const DataSplit parts = load_data(dir.path().string(), 0.2, 1);
  EXPECT_EQ(parts.train.size, 2);
  EXPECT_EQ(parts.test.size, 1);
  EXPECT_EQ(parts.test.classes, 2);
  EXPECT_EQ(parts.train.name, dir.path().string());
  EXPECT_EQ(load_all(dir.path().string()).size, 2);
}

TEST(IdxFolder, RefusesATestPartThatDoesNotFit) {
  const TempDir dir;
  const auto error = [&] { return message_of<InputError>([&] { read_idx_folder(dir.path().string()); }); };
  EXPECT_TRUE(starts_with(error(), dir.path().string(), "neither train-images-idx3-ubyte nor"));
  write_folder(dir, idx_bytes({1, 1, 3}, "abc"), idx_bytes({1}, "\x02"));
  EXPECT_TRUE(contains(error(), "t10k labels go up to 2, expected at most 1"));
  write_folder(dir, idx_bytes({1, 3, 1}, "abc"), idx_bytes({1}, "\x01"));
  EXPECT_TRUE(contains(error(), "t10k images have shape [1, 3, 1], expected [1, 1, 3]"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_idx_folder(dir.file("none")); }), "no such folder"));
}

TEST(IdxFolder, MnistFacts) {
  const auto folder = test::reference_data("mnist");
  if (folder.empty()) GTEST_SKIP() << "no MNIST: set HSO_REFERENCE_DATA";
  const Dataset test =
      read_idx((folder / "t10k-images-idx3-ubyte.gz").string(), (folder / "t10k-labels-idx1-ubyte.gz").string());
  EXPECT_EQ(class_counts(test), (std::vector<int>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
  const DataSplit parts = read_idx_folder(folder.string());
  EXPECT_EQ(parts.train.size, 60000);
  EXPECT_EQ(parts.test.inputs, test.inputs);
  EXPECT_EQ(parts.train.input_shape, (Shape{1, 28, 28}));
  EXPECT_EQ(std::vector<double>(parts.train.targets.begin(), parts.train.targets.begin() + 5),
            (std::vector<double>{5, 0, 4, 1, 9}));
  const double sum = std::accumulate(parts.train.inputs.begin(), parts.train.inputs.end(), 0.0);
  EXPECT_NEAR(sum / static_cast<double>(parts.train.inputs.size()), 33.318, 5e-4);
}

/// Sets an environment variable while it lives.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

TEST(FashionMnist, AnErrorNamesThePackage) {
  const TempDir dir;
  const Environment folder("HSO_FASHION_MNIST", dir.file("none"));
  EXPECT_TRUE(contains(message_of<InputError>([] { load_data("fashion-mnist", 0.2, 1); }),
                       dir.file("none") + " (from HSO_FASHION_MNIST)", "dataset-fashion-mnist"));
}

TEST(FashionMnist, FolderFromTheEnvironment) {
  const TempDir dir;
  write_folder(dir, idx_bytes({1, 1, 3}, "abc"), idx_bytes({1}, "\x01"));
  const Environment folder("HSO_FASHION_MNIST", dir.path().string());
  const DataSplit parts = load_data("fashion-mnist", 0.2, 1);
  EXPECT_EQ(parts.train.name, "fashion-mnist");
  EXPECT_EQ(parts.train.size, 2);
}

TEST(FashionMnist, DebianPackage) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const DataSplit parts = fashion_mnist();
  EXPECT_EQ(class_counts(parts.train), std::vector<int>(10, 6000));
  EXPECT_EQ(class_counts(parts.test), std::vector<int>(10, 1000));
}

/// An integer array of one byte a number, or floats.
std::string write_integers(const TempDir& dir, const std::string& name, const std::string& shape,
                           const std::string& data) {
  std::string header = "{'descr': '|i1', 'fortran_order': False, 'shape': " + shape + "}\n";
  return dir.write(name, std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) + '\0' + header + data);
}

std::string write_floats(const TempDir& dir, const std::string& name, const Shape& shape, std::vector<double> values) {
  write_npy<double>(dir.file(name), shape, values);
  return dir.file(name);
}

TEST(NpyPair, ClassesAndRegression) {
  const TempDir dir;
  const std::string x = write_floats(dir, "x.npy", Shape{2, 1, 2, 1}, {1, 2, 3, 4});
  const Dataset classes = read_npy_pair(x, write_integers(dir, "y.npy", "(2,)", std::string("\x02\x00", 2)));
  classes.validate();
  EXPECT_EQ(classes.input_shape, (Shape{1, 2, 1}));
  EXPECT_EQ(classes.classes, 3);
  EXPECT_EQ(classes.targets, (Numbers{2, 0}));
  const Dataset regression = read_npy_pair(x, write_floats(dir, "r.npy", Shape{2, 2}, {.1, .2, .3, .4}));
  regression.validate();
  EXPECT_EQ(regression.classes, 0);
  EXPECT_EQ(regression.target_shape, Shape{2});
  const DataSplit parts = load_data(x + "," + dir.file("y.npy"), 0.5, 1);
  EXPECT_EQ(parts.train.size, 1);
  EXPECT_EQ(parts.test.size, 1);
  EXPECT_EQ(load_data(x + "," + dir.file("y.npy"), 0.01, 1).test.size, 1);
  EXPECT_EQ(load_data(x + "," + dir.file("y.npy"), 0, 1).test.size, 0);
}

TEST(NpyPair, NamesTheFileThatIsWrong) {
  const TempDir dir;
  const std::string x = write_floats(dir, "x.npy", Shape{2, 1}, {1, 2});
  const std::string y = write_integers(dir, "y.npy", "(2,)", "\x01\x01");
  const auto error = [](const std::string& x_path, const std::string& y_path) {
    return message_of<InputError>([&] { read_npy_pair(x_path, y_path); });
  };
  const std::string three = write_integers(dir, "three.npy", "(3,)", "abc");
  EXPECT_TRUE(starts_with(error(x, three), three, "found shape [3], expected 2 rows"));
  const std::string flat = write_floats(dir, "flat.npy", Shape{2}, {0, 0.5});
  EXPECT_TRUE(starts_with(error(x, flat), flat, "sample 1 has label 0.5, expected a whole number from 0 (classes)"));
  EXPECT_TRUE(starts_with(error(flat, y), flat, "expected [N, ...input shape]"));
  const DataOptions two{.outputs = 2};
  const std::string labels = write_integers(dir, "labels.npy", "(2,)", "\x01\x02");
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { read_npy_pair(x, labels, two); }), labels,
                          "sample 1 has label 2, expected 0 to 1 as the model has 2 outputs (the labels run from 1"));
  const std::string negative = write_integers(dir, "neg.npy", "(2,)", "\x01\xff");
  EXPECT_TRUE(starts_with(error(x, negative), negative, "sample 1 has label -1"));
  const std::string nan = write_floats(dir, "nan.npy", Shape{2, 1}, {0, std::nan("")});
  EXPECT_TRUE(starts_with(error(nan, y), nan, "sample 1, input 0: found nan"));
  EXPECT_TRUE(starts_with(error(x, nan), nan, "sample 1, target 0: found nan"));
  const std::string none = write_floats(dir, "none.npy", Shape{2, 0}, {});
  EXPECT_TRUE(starts_with(error(x, none), none, "at least one output"));
  EXPECT_TRUE(starts_with(error(none, y), none));
}

TEST(Load, DigitsAndCsv) {
  const DataSplit parts = load_data("digits", 0.5, 11);
  EXPECT_EQ(parts.train.size, 1437);
  EXPECT_EQ(parts.test.inputs, split(digits(), 360, 11).test.inputs);
  EXPECT_EQ(load_all("digits").size, 1797);
  const TempDir dir;
  const std::string rows = "1,0\n2,1\n3,0\n4,1\n";
  EXPECT_EQ(load_data(dir.write("a.csv", rows), 0.25, 1).test.size, 1);
  EXPECT_EQ(load_all(dir.write("b.csv", "width, class\n" + rows)).size, 4);
  EXPECT_EQ(load_all(dir.write("c.csv", "\"a\",\"b\"\r\n" + rows)).size, 4);
  EXPECT_TRUE(
      contains(message_of<InputError>([&] { load_all(dir.write("d.csv", "width,7.5\n" + rows)); }), "line 1: field 1"));
  EXPECT_TRUE(
      contains(message_of<InputError>([&] { load_all(dir.write("e.csv", "nan,inf\n" + rows)); }), "line 1: field 1"));
  EXPECT_TRUE(
      contains(message_of<InputError>([&] { load_data(dir.write("f.csv", "1,0\n"), 0.5, 1); }), "found 1 sample"));
}

TEST(Load, OptionsOfCsvFilesAreRefusedBesideOtherData) {
  for (const DataOptions& options :
       {DataOptions{.label = "y"}, DataOptions{.header = CsvHeader::no}, DataOptions{.separator = ';'}})
    EXPECT_TRUE(contains(message_of<UsageError>([&] { load_all("digits", options); }), "CSV files alone", "digits"));
}

TEST(Load, UnknownWordsAndFractions) {
  EXPECT_TRUE(contains(message_of<UsageError>([] { load_data("digts", 0.2, 1); }),
                       "--data: found 'digts', expected digits, fashion-mnist, X.npy,Y.npy", "'digits'?"));
  EXPECT_TRUE(starts_with(message_of<InputError>([] { load_all("no/such/folder"); }), "no/such/folder: no such file"));
  const TempDir dir;
  const std::string path = dir.write("a.csv", "1,0\n2,1\n");
  for (double fraction : {-0.1, 1.0, std::nan("")}) EXPECT_THROW(load_data(path, fraction, 1), UsageError);
}

}  // namespace
}  // namespace hso
