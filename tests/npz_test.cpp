// SPDX-License-Identifier: Apache-2.0
//
// .npz archives as numpy writes them (data/formats), and what targets are taken for.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "hsogpu/data/io.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::starts_with;
using test::TempDir;

using Numbers = std::vector<double>;

std::string file(const std::string& name) { return std::string(HSO_SOURCE_DIR) + "/tests/data/formats/" + name; }

TEST(Npz, StoredAndDeflated) {
  const Array x = read_npy(file("x.npy")), y = read_npy(file("y.npy"));
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    EXPECT_EQ(read_npz(file(name), "x").values, x.values) << name;
    EXPECT_EQ(read_npz(file(name), "y").values, y.values) << name;
    EXPECT_EQ(read_npz(file(name), "y").dtype, "int64") << name;
  }
  EXPECT_EQ(read_npz(file("named.npz"), "images").shape, (Shape{12, 2, 2}));
}

TEST(Npz, ListsTheArraysWhereOneIsMissing) {
  const std::string path = file("named.npz");
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { read_npz(path, "target"); }), path,
                          "no array 'target' (did you mean 'targets'?)", "other, images, targets"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { load_all(path); }), "no array 'x'", "FILE.npz:INPUTS:LABELS"));
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { load_all(path + ":other:other"); }), path + ":other",
                          "found shape [12], expected [N, ...input shape]"));
}

TEST(Npz, FilesThatAreNoArchives) {
  const TempDir dir;
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npz(file("x.npy"), "x"); }), "found no ZIP directory"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npz(dir.file("none.npz"), "x"); }), "none.npz: cannot open"));
}

TEST(Targets, ClassesFromEveryShape) {
  const Numbers y = read_npy(file("y.npy")).values;
  for (const char* labels : {"y.npy", "y_int8.npy", "y_floats.npy", "y_column.npy", "y_one_hot.npy"}) {
    const Dataset data = read_npy_pair(file("x.npy"), file(labels), {.targets = Targets::classes});
    data.validate();
    EXPECT_EQ(data.classes, 3) << labels;
    EXPECT_EQ(data.targets, y) << labels;
  }
  EXPECT_EQ(read_npy_pair(file("x.npy"), file("y_one_hot.npy")).classes, 3) << "one-hot rows say so themselves";
  EXPECT_EQ(read_npy_pair(file("x.npy"), file("y_column.npy")).classes, 0) << "one output may be a value";
  const Dataset values = read_npy_pair(file("x.npy"), file("y_floats.npy"), {.targets = Targets::values});
  EXPECT_EQ(values.classes, 0);
  EXPECT_EQ(values.target_shape, Shape{1});
  EXPECT_EQ(values.targets, y);
}

TEST(Targets, TheFirstRowThatIsNotOneHotIsNamed) {
  const TempDir dir;
  const std::string x = dir.file("x.npy"), y = dir.file("y.npy");
  write_npy<double>(x, Shape{3, 1}, Numbers{1, 2, 3});
  write_npy<double>(y, Shape{3, 2}, Numbers{1, 0, 0.5, 0.5, 0, 1});
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { read_npy_pair(x, y, {.targets = Targets::classes}); }), y,
                          "found shape [3, 2], whose sample 1 is no one-hot row"));
  EXPECT_EQ(read_npy_pair(x, y).classes, 0);
  write_npy<double>(y, Shape{3, 3}, Numbers{1, 0, 0, 0, 1, 0, 1, 0, 0});
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npy_pair(x, y, {.outputs = 2}); }), y,
                       "one-hot rows of 3, but the model has 2 outputs"));
}

}  // namespace
}  // namespace hso
