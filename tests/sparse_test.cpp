// SPDX-License-Identifier: Apache-2.0
//
// Sparse files: round trips, what any reader sees in them, and corrupt ones.
#include <gtest/gtest.h>

#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/prune/structure.hpp"
#include "support/messages.hpp"
#include "support/shrink_models.hpp"
#include "support/temp_dir.hpp"

namespace hso::test {
namespace {

std::vector<ParameterInfo> layout(const ModelSpec& model) {
  return build_network<float>(model, LossKind::squared_error).parameters;
}

TEST(SparseFile, RoundTrips) {
  const TempDir dir;
  for (const char* word : {"mlp:6-5-3", "digits_cnn"})
    for (double kept : {0.0, 0.1, 0.5, 1.0}) {
      SCOPED_TRACE(std::string(word) + ", kept " + std::to_string(kept));
      const ModelSpec model = parse_model(word);
      const Numbers theta = random_theta(model, 1);
      const Mask mask = random_mask(static_cast<Index>(theta.size()), kept, 2);
      write_sparse(dir.file("a"), theta, mask, layout(model), "float64", {{"score", "obs"}});
      const SparseParameters read = read_sparse(dir.file("a"), layout(model));
      EXPECT_EQ(read.theta, masked(theta, mask));
      EXPECT_EQ(read.mask, mask);
      EXPECT_EQ(read.metadata, (std::map<std::string, std::string>{{"score", "obs"}}));
      write_sparse(dir.file("b"), theta, mask, layout(model), "float32");
      const SparseParameters narrow = read_sparse(dir.file("b"), layout(model));
      for (std::size_t i = 0; i < theta.size(); ++i)
        EXPECT_EQ(narrow.theta[i], mask.kept[i] ? static_cast<double>(static_cast<float>(theta[i])) : 0.0);
    }
}

TEST(SparseFile, AnyReaderFindsValuesAndBits) {
  const TempDir dir;
  const auto parameters = layout(parse_model("mlp:3-3"));  // 9 weights, 3 biases
  const Numbers theta{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  write_sparse(dir.file("a"), theta, Mask{{1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0}}, parameters, "float32");
  const SafeTensors file = read_safetensors(dir.file("a"));
  ASSERT_EQ(file.tensors.size(), 4u);
  EXPECT_EQ(file.tensors.at("0.weight.values").values, (Numbers{1, 4, 9}));
  EXPECT_EQ(file.tensors.at("0.weight.mask").values, (Numbers{1 + 8, 1}));
  EXPECT_EQ(file.tensors.at("0.bias.values").shape, Shape{0});
  EXPECT_EQ(file.tensors.at("0.bias.mask").values, Numbers{0});
  EXPECT_EQ(file.metadata.at("format"), "hso-sparse-1");
  EXPECT_EQ(file.metadata.at("shape.0.weight"), "[3, 3]");
  const std::string bytes = read_text(dir.file("a"));
  EXPECT_NE(bytes.find(R"("0.weight.mask":{"dtype":"U8","shape":[2])"), std::string::npos);
}

TEST(SparseFile, ShrinksWithSparsity) {
  const TempDir dir;
  const ModelSpec model = parse_model("lenet300");
  const Numbers theta = random_theta(model, 1);
  const auto n = static_cast<Index>(theta.size());
  const Mask mask = random_mask(n, 0.05, 2);
  write_sparse(dir.file("a"), theta, mask, layout(model), "float32");
  const auto size = static_cast<Index>(std::filesystem::file_size(dir.file("a")));
  EXPECT_GE(size, 4 * mask.count() + n / 8);
  EXPECT_LE(size, 4 * mask.count() + n / 8 + 2000) << "the header";
}

/// A file of mlp:3-2 (6 weights, 2 biases) whose tensors and metadata `change` has changed; the reader's message.
template <class F>
std::string error_of(const F& change) {
  const TempDir dir;
  const std::string path = dir.file("a.safetensors");
  const auto parameters = layout(parse_model("mlp:3-2"));
  write_sparse(path, Numbers(8, 1.5), Mask{{1, 1, 0, 1, 0, 0, 1, 0}}, parameters, "float64");
  SafeTensors file = read_safetensors(path);
  change(file);
  std::vector<NamedTensor> tensors;
  for (const auto& [name, a] : file.tensors) tensors.push_back({name, a.shape, a.values, a.integral ? "U8" : ""});
  write_safetensors(path, tensors, "float64", file.metadata);
  const std::string message = message_of<InputError>([&] { read_sparse(path, parameters); });
  return message.starts_with(path + ": ") ? message.substr(path.size() + 2) : message;
}

TEST(SparseFile, RefusesCorruptFiles) {
  EXPECT_EQ(error_of([](SafeTensors&) {}), "(threw nothing)");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.metadata["format"] = "pt"; }),
            "found metadata format 'pt', expected 'hso-sparse-1'");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.metadata.clear(); }), "found metadata format '', expected 'hso-sparse-1'");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.metadata.erase("shape.0.bias"); }),
            "the shape of tensor '0.bias' is missing");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.metadata["shape.0.weight"] = "[3, 2]"; }),
            "tensor '0.weight' has shape [3, 2], expected [2, 3]");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.metadata["shape.9.bias"] = "[1]"; }),
            "'shape.9.bias' names no tensor of the model");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.tensors.erase("0.bias.mask"); }), "tensor '0.bias.mask' is missing");
  EXPECT_EQ(error_of([](SafeTensors& f) {
              f.tensors["extra"] = {Shape{1}, {1}};
            }),
            "tensor 'extra' is none of the model's");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.tensors["0.weight.mask"].values = {0b1111}; }),
            "tensor '0.weight.values' has 3 numbers, expected 4 as bits are set in '0.weight.mask'");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.tensors["0.weight.mask"].values = {0b1}; }),
            "tensor '0.weight.values' has 3 numbers, expected 1 as bits are set in '0.weight.mask'");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.tensors["0.weight.mask"].values = {0b1000011}; }),
            "tensor '0.weight.mask' has bits beyond 6");
  EXPECT_EQ(error_of([](SafeTensors& f) {
              f.tensors["0.weight.mask"] = {Shape{2}, {1, 1}, true};
            }),
            "tensor '0.weight.mask' has 2 bytes, expected 1");
  EXPECT_EQ(error_of([](SafeTensors& f) {
              f.tensors["0.weight.mask"].shape = Shape{1, 1};
            }),
            "tensor '0.weight.mask' has shape [1, 1], expected one axis");
  EXPECT_EQ(error_of([](SafeTensors& f) { f.tensors["0.weight.mask"].integral = false; }),
            "tensor '0.weight.mask' holds floating-point numbers, expected bytes");
  EXPECT_EQ(error_of([](SafeTensors& f) {
              f.tensors["0.bias.values"].values = {2}, f.tensors["0.bias.values"].integral = true;
            }),
            "tensor '0.bias.values' holds whole numbers, expected floating-point ones");
}

TEST(SparseFile, RefusesWhatItCannotWrite) {
  const TempDir dir;
  const auto parameters = layout(parse_model("mlp:3-2"));
  const auto error = [&](Index theta, Index mask, const std::map<std::string, std::string>& metadata) {
    return message_of<InputError>([&] {
      write_sparse(dir.file("a"), Numbers(static_cast<std::size_t>(theta)), Mask::all(mask), parameters, "float64",
                   metadata);
    });
  };
  EXPECT_TRUE(contains(error(7, 8, {}), "write_sparse", "found 7 parameters and a mask of 8, expected 8 of each"));
  EXPECT_TRUE(contains(error(8, 9, {}), "a mask of 9"));
  EXPECT_TRUE(contains(error(8, 8, {{"format", "x"}}), "'format' is taken"));
  const Numbers half{0.5};
  EXPECT_TRUE(
      contains(message_of<InputError>([&] {
                 write_safetensors(dir.file("a"), std::vector<NamedTensor>{{"m", Shape{1}, half, "U8"}}, "float64");
               }),
               "tensor 'm' of dtype U8 has the value 0.5", "a whole number from 0 to 255"));
  EXPECT_FALSE(std::filesystem::exists(dir.file("a")));
}

}  // namespace
}  // namespace hso::test
