// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/data/io.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "support/bytes.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::contains;
using test::message_of;
using test::starts_with;
using test::TempDir;

using Numbers = std::vector<double>;

/// A .npy file by hand, from the description of the format: magic, version, little-endian header length, header, data.
std::string npy_bytes(const std::string& dictionary, const std::string& data, int major = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(major);
  out += '\0';
  const std::string header = dictionary + "\n";
  for (std::size_t i = 0; i < (major == 1 ? 2u : 4u); ++i) out += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return out + header + data;
}

std::string npy_dictionary(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
}

std::vector<double> read_one(const std::string& descr, const std::string& data, std::size_t count) {
  const TempDir dir;
  const std::string shape = fmt::format("({},)", count);
  return read_npy(dir.write("a.npy", npy_bytes(npy_dictionary(descr, shape), data))).values;
}

std::string npy_error(const std::string& bytes) {
  const TempDir dir;
  const std::string path = dir.write("bad.npy", bytes);
  const std::string message = message_of<InputError>([&] { read_npy(path); });
  EXPECT_TRUE(starts_with(message, path + ": "));
  return message;
}

TEST(Npy, ReadsEveryNumberTypeInBothByteOrders) {
  EXPECT_EQ(read_one("<f8", bytes_of({0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0}), 2),
            (Numbers{1.5, -2.0}));
  EXPECT_EQ(read_one(">f8", bytes_of({0x3f, 0xf8, 0, 0, 0, 0, 0, 0}), 1), (Numbers{1.5}));
  EXPECT_EQ(read_one("<f4", bytes_of({0, 0, 0xc0, 0x3f}), 1), (Numbers{1.5}));
  EXPECT_EQ(read_one(">f4", bytes_of({0xbf, 0xc0, 0, 0}), 1), (Numbers{-1.5}));
  EXPECT_EQ(read_one("<f2", bytes_of({0x00, 0x3e}), 1), (Numbers{1.5}));
  EXPECT_EQ(read_one(">f2", bytes_of({0x3e, 0x00}), 1), (Numbers{1.5}));
  EXPECT_EQ(read_one("|i1", bytes_of({0xff, 0x7f}), 2), (Numbers{-1, 127}));
  EXPECT_EQ(read_one("|u1", bytes_of({0xff, 0x7f}), 2), (Numbers{255, 127}));
  EXPECT_EQ(read_one("<i2", bytes_of({0xfe, 0xff}), 1), (Numbers{-2}));
  EXPECT_EQ(read_one(">u2", bytes_of({0x01, 0x02}), 1), (Numbers{258}));
  EXPECT_EQ(read_one("<i4", bytes_of({0xfd, 0xff, 0xff, 0xff}), 1), (Numbers{-3}));
  EXPECT_EQ(read_one(">u4", bytes_of({0xff, 0xff, 0xff, 0xff}), 1), (Numbers{4294967295.0}));
  EXPECT_EQ(read_one("<i8", bytes_of({0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), 1), (Numbers{-4}));
  EXPECT_EQ(read_one(">i8", bytes_of({0, 0, 0, 1, 0, 0, 0, 0}), 1), (Numbers{4294967296.0}));
  EXPECT_EQ(read_one("<u8", bytes_of({0, 0, 0, 0, 0, 0, 0, 0x80}), 1), (Numbers{0x1p63}));
  EXPECT_EQ(read_one("|b1", bytes_of({0, 1}), 2), (Numbers{0, 1}));
}

TEST(Npy, ReadsTheMachinesOwnOrderAndNamesTypes) {
  const std::string one_and_half = bytes_of({0, 0, 0, 0, 0, 0, 0xf8, 0x3f});
  EXPECT_EQ(read_one("=f8", one_and_half, 1), (Numbers{1.5}));
  const TempDir dir;
  const auto type_of = [&](const char* descr, const std::string& data) {
    return read_npy(dir.write("t.npy", npy_bytes(npy_dictionary(descr, "(1,)"), data))).dtype;
  };
  EXPECT_EQ(type_of(">f8", one_and_half), "float64");
  EXPECT_EQ(type_of("<i2", "ab"), "int16");
  EXPECT_EQ(type_of("|u1", "a"), "uint8");
  EXPECT_EQ(type_of("|b1", "\x01"), "bool");
}

TEST(Npy, HalfPrecisionSpecialValues) {
  // Largest finite, smallest subnormal, smallest normal, -0, infinity, NaN (IEEE 754 binary16).
  const auto v = read_one("<f2", bytes_of({0xff, 0x7b, 0x01, 0, 0, 0x04, 0, 0x80, 0, 0x7c, 0, 0x7e}), 6);
  EXPECT_EQ(v[0], 65504.0);
  EXPECT_EQ(v[1], 0x1p-24);
  EXPECT_EQ(v[2], 0x1p-14);
  EXPECT_TRUE(v[3] == 0 && std::signbit(v[3]));
  EXPECT_EQ(v[4], std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(v[5]));
}

TEST(Npy, ReadsFortranOrder) {
  const TempDir dir;
  // Element (i, j, k) of shape (2, 3, 2) holds 100 i + 10 j + k; the first index runs fastest in the file.
  std::string data;
  for (int k = 0; k < 2; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) data += static_cast<char>(100 * i + 10 * j + k);
  const Array a = read_npy(dir.write("f.npy", npy_bytes(npy_dictionary("|u1", "(2, 3, 2)", true), data)));
  EXPECT_EQ(a.shape, (Shape{2, 3, 2}));
  EXPECT_TRUE(a.integral);
  EXPECT_EQ(a.values, (Numbers{0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121}));
}

TEST(Npy, HeaderDictionaryInAnyOrderAndSpacing) {
  const TempDir dir;
  const std::string data = bytes_of({7, 8});
  for (const char* dictionary : {"{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"|u1\"}",
                                 "{'descr':'u1','shape':( 2L , ),'fortran_order' : True}",
                                 "  { 'fortran_order': False , 'shape': (2), 'descr': '|u1' , }   "})
    EXPECT_EQ(read_npy(dir.write("h.npy", npy_bytes(dictionary, data))).values, (Numbers{7, 8})) << dictionary;
}

TEST(Npy, Version2ScalarsAndEmptyArrays) {
  const TempDir dir;
  const Array v2 = read_npy(dir.write("v2.npy", npy_bytes(npy_dictionary("|u1", "(1,)"), "\x05", 2)));
  EXPECT_EQ(v2.values, (Numbers{5}));
  const Array scalar = read_npy(dir.write("s.npy", npy_bytes(npy_dictionary("|u1", "()"), "\x06")));
  EXPECT_EQ(scalar.shape, Shape{});
  EXPECT_EQ(scalar.values, (Numbers{6}));
  const Array empty = read_npy(dir.write("e.npy", npy_bytes(npy_dictionary("<f8", "(0, 3)"), "")));
  EXPECT_EQ(empty.shape, (Shape{0, 3}));
  EXPECT_TRUE(empty.values.empty());
  EXPECT_FALSE(empty.integral);
}

TEST(Npy, RoundTripKeepsBits) {
  const TempDir dir;
  std::vector<double> values(300'000);  // more than one chunk
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<double>(i)) * 1e-30;
  values[1] = -0.0;
  values[2] = std::numeric_limits<double>::infinity();
  const Shape shape{3, 100, 1000};
  write_npy<double>(dir.file("d.npy"), shape, values);
  const Array back = read_npy(dir.file("d.npy"));
  EXPECT_EQ(back.shape, shape);
  EXPECT_EQ(back.values, values);
  EXPECT_TRUE(std::signbit(back.values[1]));
  const std::vector<float> floats = {1.0f / 3.0f, -1e-40f, 3e38f};
  write_npy<float>(dir.file("f.npy"), Shape{3}, floats);
  EXPECT_EQ(read_npy(dir.file("f.npy")).values, std::vector<double>(floats.begin(), floats.end()));
}

TEST(Npy, WritesTheBytesOfTheFormat) {
  const TempDir dir;
  const std::vector<double> one = {1.5};
  write_npy<double>(dir.file("a.npy"), Shape{1}, one);
  std::string dictionary = npy_dictionary("<f8", "(1,)");
  dictionary.append(128 - 10 - 1 - dictionary.size(), ' ');
  EXPECT_EQ(read_text(dir.file("a.npy")), npy_bytes(dictionary, bytes_of({0, 0, 0, 0, 0, 0, 0xf8, 0x3f})));
  for (const Shape& shape : {Shape{}, Shape{1, 1}, Shape{1, 1, 1, 1, 1, 1}}) {
    write_npy<double>(dir.file("b.npy"), shape, one);
    EXPECT_EQ(fs::file_size(dir.file("b.npy")) % 64, 8u);
    EXPECT_EQ(read_npy(dir.file("b.npy")).shape, shape);
  }
}

TEST(Npy, RefusesDamagedFiles) {
  const std::string good = npy_bytes(npy_dictionary("<f4", "(3,)"), std::string(12, 'x'));
  EXPECT_TRUE(
      contains(npy_error(good.substr(0, good.size() - 1)), "found 11 bytes of data, expected 12 for shape [3]"));
  EXPECT_TRUE(contains(npy_error(good + "y"), "found 13 bytes of data, expected 12"));
  EXPECT_TRUE(contains(npy_error(""), "found 0 bytes, expected a .npy file"));
  EXPECT_TRUE(contains(npy_error(good.substr(0, 9)), "found 9 bytes"));
  EXPECT_TRUE(contains(npy_error("PK\x03\x04 a zip file"), "50 4b 03 04 20 61, expected a .npy file (93 4e 55"));
  EXPECT_TRUE(contains(npy_error(good.substr(0, 40)), "bytes, but only 30 follow", "header of "));
  EXPECT_TRUE(
      contains(npy_error(npy_bytes(npy_dictionary("<f4", "(3,)"), "", 4)), "format 4.0, expected 1.0, 2.0 or 3.0"));
}

TEST(Npy, RefusesHeadersThatAreWrong) {
  const auto error = [](const std::string& dictionary) { return npy_error(npy_bytes(dictionary, "")); };
  EXPECT_TRUE(contains(error(npy_dictionary("<c16", "(1,)")), "numbers of type '<c16', expected f2, f4, f8"));
  EXPECT_TRUE(contains(error(npy_dictionary("|O", "(1,)")), "'|O'"));
  EXPECT_TRUE(contains(error(npy_dictionary("f8", "(1,)")), "after <, > or ="));
  EXPECT_TRUE(contains(error("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"), "structured type"));
  EXPECT_TRUE(contains(error("{'descr': '<f4', 'shape': (1,)}"), "no key 'fortran_order'"));
  EXPECT_TRUE(contains(error("{'descr': '<f4', 'shap': (1,)}"), "the key 'shap'"));
  EXPECT_TRUE(contains(error("{'descr': '<f4', 'descr': '<f4'}"), "the key 'descr'"));
  EXPECT_TRUE(contains(error("{'fortran_order': Maybe}"), "found 'Maybe}', expected True or False"));
  EXPECT_TRUE(contains(error("{'shape': (-1,)}"), "found '-1,)}', expected an extent from 0"));
  EXPECT_TRUE(contains(error("{'shape': (99999999999999999999,)}"), "expected an extent from 0"));
  EXPECT_TRUE(contains(error("{'descr': '<f4"), "expected a closing quote"));
  EXPECT_TRUE(contains(error("no dictionary"), "found 'no dictionary', expected '{'"));
  EXPECT_TRUE(contains(error("{'shape': (1,)} more"), "expected the end of the header"));
  EXPECT_TRUE(contains(error("{'shape': (1,)"), "found its end, expected '}'"));
  EXPECT_TRUE(contains(error(npy_dictionary("<f4", "(1, 1, 1, 1, 1, 1, 1)")), "rank 7, expected at most 6"));
  EXPECT_TRUE(contains(error(npy_dictionary("<f4", "(4294967296, 4294967296)")), "more than 64 bits can count"));
  EXPECT_TRUE(contains(error(npy_dictionary("<f8", "(1152921504606846976,)")), "more than 64 bits can count"));
  EXPECT_TRUE(
      contains(error(npy_dictionary("<f8", "(1000000000000,)")), "found 0 bytes of data, expected 8000000000000"));
}

TEST(Npy, RefusesFilesThatAreNotThere) {
  const TempDir dir;
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { read_npy(dir.file("none.npy")); }), dir.file("none.npy") + ": ",
                          "No such file"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npy(dir.path().string()); }), "found a folder"));
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { read_text(dir.path().string()); }), dir.path().string() + ": "));
}

TEST(Npy, WriterRefusesAShapeThatDoesNotFit) {
  const TempDir dir;
  const std::vector<float> three = {1, 2, 3};
  EXPECT_TRUE(contains(message_of<InputError>([&] {
                         write_npy<float>(dir.file("a.npy"), Shape{2, 2}, three);
                       }),
                       dir.file("a.npy"), "found 3 values, expected 4 for shape [2, 2]"));
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

}  // namespace
}  // namespace hso
