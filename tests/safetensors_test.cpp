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

/// Header length, header, data.
std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return out + header + data;
}

std::string safetensors_error(const std::string& bytes) {
  const TempDir dir;
  const std::string path = dir.write("bad.safetensors", bytes);
  const std::string message = message_of<InputError>([&] { read_safetensors(path); });
  EXPECT_TRUE(starts_with(message, path + ": "));
  return message;
}

TEST(SafeTensorsFile, ReadsAFileByHand) {
  const TempDir dir;
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},)"
      R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"i":{"dtype":"I16","shape":[],"data_offsets":[10,12]},)"
      R"("t":{"dtype":"BOOL","shape":[2],"data_offsets":[12,14]},)"
      R"("none":{"dtype":"F64","shape":[0],"data_offsets":[8,8]}}   )";
  const std::string data = bytes_of({0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0xc0, 0xbf, 0xfe, 0xff, 1, 0});
  const SafeTensors file = read_safetensors(dir.write("a.safetensors", safetensors_bytes(header, data)));
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(file.tensors.size(), 5u);
  EXPECT_EQ(file.tensors.at("a").shape, (Shape{1, 2}));
  EXPECT_EQ(file.tensors.at("a").values, (Numbers{1.5, -2.0}));
  EXPECT_FALSE(file.tensors.at("a").integral);
  EXPECT_EQ(file.tensors.at("b").values, (Numbers{-1.5}));
  EXPECT_EQ(file.tensors.at("i").values, (Numbers{-2}));
  EXPECT_TRUE(file.tensors.at("i").integral);
  EXPECT_EQ(file.tensors.at("t").values, (Numbers{1, 0}));
  EXPECT_TRUE(file.tensors.at("none").values.empty());
}

TEST(SafeTensorsFile, RoundTripInBothPrecisions) {
  const TempDir dir;
  const std::vector<double> w = {1.0 / 3, -2, 1e-300}, b = {0.1};
  const std::vector<NamedTensor> tensors = {{"layer.weight", Shape{3, 1}, w}, {"layer.bias", Shape{}, b}};
  const std::map<std::string, std::string> metadata = {{"model", "mlp:3-1"}, {"quote", "\"\n"}};
  write_safetensors(dir.file("64"), tensors, "float64", metadata);
  const SafeTensors wide = read_safetensors(dir.file("64"));
  EXPECT_EQ(wide.metadata, metadata);
  EXPECT_EQ(wide.tensors.at("layer.weight").values, w);
  EXPECT_EQ(wide.tensors.at("layer.weight").shape, (Shape{3, 1}));
  EXPECT_EQ(wide.tensors.at("layer.bias").values, b);
  write_safetensors(dir.file("32"), tensors, "float32");
  const SafeTensors narrow = read_safetensors(dir.file("32"));
  EXPECT_TRUE(narrow.metadata.empty());
  EXPECT_EQ(narrow.tensors.at("layer.weight").values, (Numbers{double{1.0f / 3.0f}, -2, 0}));
}

TEST(SafeTensorsFile, ATensorMayHaveATypeOfItsOwn) {
  const TempDir dir;
  const std::vector<double> bytes{0, 1, 255}, numbers{0.1};
  write_safetensors(
      dir.file("a"),
      std::vector<NamedTensor>{{"u", Shape{3}, bytes, "U8"}, {"d", Shape{1}, numbers, "F64"}, {"f", Shape{1}, numbers}},
      "float32");
  const SafeTensors file = read_safetensors(dir.file("a"));
  EXPECT_EQ(file.tensors.at("u").values, bytes);
  EXPECT_TRUE(file.tensors.at("u").integral);
  EXPECT_EQ(file.tensors.at("d").values[0], 0.1);
  EXPECT_EQ(file.tensors.at("f").values[0], double{0.1F});
  const auto error = [&](double value, const char* dtype) {
    const std::vector<double> one{value};
    return message_of<Error>([&] {
      write_safetensors(dir.file("b"), std::vector<NamedTensor>{{"t", Shape{1}, one, dtype}}, "float32");
    });
  };
  for (const double value : {256.0, -1.0, 0.5}) EXPECT_TRUE(contains(error(value, "U8"), "'t'", "0 to 255"));
  EXPECT_TRUE(contains(error(1, "F16"), "'t'", "'F16'", "U8"));
}

TEST(SafeTensorsFile, WritesAnAlignedHeaderInTheOrderGiven) {
  const TempDir dir;
  const std::vector<double> one = {1};
  for (const char* name : {"z", "zz", "zzzzz", "zzzzzzz"}) {
    write_safetensors(dir.file("a"), std::vector<NamedTensor>{{name, Shape{1}, one}, {"a", Shape{1}, one}}, "float64");
    const std::string bytes = read_text(dir.file("a"));
    const auto length = static_cast<unsigned char>(bytes[0]);
    EXPECT_EQ(length % 8, 0);
    EXPECT_EQ(bytes.size(), 8u + length + 16u);
    EXPECT_EQ(bytes[8], '{');
    EXPECT_LT(bytes.find(std::string("\"") + name), bytes.find("\"a\""));
  }
}

TEST(SafeTensorsFile, RefusesDamagedFiles) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string good = safetensors_bytes(header, std::string(8, 'x'));
  EXPECT_TRUE(contains(safetensors_error(good.substr(0, good.size() - 1)), "found 7 bytes of data, expected 8"));
  EXPECT_TRUE(contains(safetensors_error(good + "y"), "found 9 bytes of data, expected 8"));
  EXPECT_TRUE(contains(safetensors_error("short"), "found 5 bytes"));
  EXPECT_TRUE(contains(safetensors_error(good.substr(0, 20)), "header length of 54, expected at most 12"));
  EXPECT_TRUE(contains(safetensors_error(std::string(8, '\xff') + "{}"), "header length of 18446744073709551615"));
  EXPECT_TRUE(contains(safetensors_error(safetensors_bytes("{\"a\":", "")), "not JSON"));
  EXPECT_TRUE(contains(safetensors_error(safetensors_bytes("[1]", "")), "expected a JSON object"));
}

TEST(SafeTensorsFile, RefusesHeadersThatAreWrong) {
  const auto error = [](const std::string& header) {
    return safetensors_error(safetensors_bytes(header, std::string(8, 'x')));
  };
  const auto one = [&](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return error(R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}");
  };
  EXPECT_TRUE(contains(one("7", "[8]", "[0,8]"), "dtype 7"));
  EXPECT_TRUE(contains(one("\"F32\"", "[-2]", "[0,8]"), "the shape of tensor 'a' is [-2]"));
  EXPECT_TRUE(contains(one("\"F32\"", "[2.0]", "[0,8]"), "expected a list of whole numbers"));
  EXPECT_TRUE(contains(one("\"F32\"", "[3]", "[0,8]"), "spans 8 bytes, expected 12 for shape [3] of 4-byte numbers"));
  EXPECT_TRUE(contains(one("\"F32\"", "[4294967296,4294967296]", "[0,8]"), "more than 64 bits can count"));
  EXPECT_TRUE(contains(one("\"F32\"", "[1,1,1,1,1,1,2]", "[0,8]"), "rank 7"));
  EXPECT_TRUE(contains(one("\"F32\"", "[2]", "[8,0]"), "data_offsets of tensor 'a' are [8,0]"));
  EXPECT_TRUE(contains(one("\"F32\"", "[2]", "[0,8,9]"), "expected [begin, end]"));
  EXPECT_TRUE(contains(one("\"F32\"", "[2]", "[4,12]"), "starts at byte 4 of the data, expected 0: there is a hole"));
  EXPECT_TRUE(contains(error(R"({"a":{"dtype":"F32"}})"), "expected dtype, shape and data_offsets"));
  EXPECT_TRUE(contains(error(R"({"__metadata__":{"a":1}})"), "__metadata__ is not an object of strings"));
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_TRUE(contains(error("{" + a + "," + a + "}"), "the key 'a' is there twice"));
  EXPECT_TRUE(contains(error("{" + a + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})"), "overlaps"));
}

TEST(SafeTensorsFile, WriterRefusesMisuse) {
  const TempDir dir;
  const std::vector<double> one = {1};
  const auto write = [&](std::vector<NamedTensor> tensors, const char* precision) {
    write_safetensors(dir.file("a"), tensors, precision);
  };
  EXPECT_TRUE(contains(message_of<UsageError>([&] { write({}, "half"); }), "'half', expected float32 or float64"));
  EXPECT_TRUE(contains(message_of<InputError>([&] {
                         write({{"a", Shape{2}, one}}, "float32");
                       }),
                       "1 values, expected 2"));
  EXPECT_TRUE(contains(message_of<InputError>([&] {
                         write({{"a", Shape{1}, one}, {"a", Shape{1}, one}}, "float32");
                       }),
                       "'a' is there twice"));
  EXPECT_TRUE(contains(message_of<InputError>([&] {
                         write({{"__metadata__", Shape{1}, one}}, "float32");
                       }),
                       "reserved"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { write({{"\xff", Shape{1}, one}}, "float32"); }), "UTF-8"));
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

}  // namespace
}  // namespace hso
