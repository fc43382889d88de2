// SPDX-License-Identifier: Apache-2.0
//
// `--params` takes the state dict of a PyTorch module where its names leave no doubt, says what it took for what, and
// lists both sides where they do.
#include <gtest/gtest.h>

#include <algorithm>

#include "hsogpu/hsogpu.hpp"
#include "support/bytes.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::starts_with;
using test::TempDir;
using Numbers = std::vector<double>;
using Words = std::vector<std::string>;

std::vector<ParameterInfo> parameters_of(const std::string& model) {
  return build_network<double>(parse_model(model), LossKind::cross_entropy).parameters;
}

Numbers counted(const std::vector<ParameterInfo>& parameters) {
  Numbers theta(static_cast<std::size_t>(parameters.back().offset + parameters.back().shape.size()));
  for (std::size_t i = 0; i < theta.size(); ++i) theta[i] = 0.01 * static_cast<double>(i);
  return theta;
}

/// A file with these tensors of theta under other names, sorted by name as safetensors.torch.save_file sorts them.
std::string state_dict(const TempDir& dir, const std::vector<ParameterInfo>& parameters, const Numbers& theta,
                       const Words& names, std::vector<NamedTensor> more = {}) {
  std::vector<NamedTensor> tensors = std::move(more);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    tensors.push_back({names[i], parameters[i].shape,
                       Span<const double>(theta).subspan(static_cast<std::size_t>(parameters[i].offset),
                                                         static_cast<std::size_t>(parameters[i].shape.size()))});
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  write_safetensors(dir.file("torch.safetensors"), tensors, "float64", {{"format", "pt"}});
  return dir.file("torch.safetensors");
}

Words weights_and_biases(const Words& layers) {
  Words out;
  for (const std::string& layer : layers) out.insert(out.end(), {layer + ".weight", layer + ".bias"});
  return out;
}

TEST(ParameterNames, LayersByTheirShapes) {
  const TempDir dir;
  const auto parameters = parameters_of("mlp:4-3-5-2:tanh");
  const Numbers theta = counted(parameters);
  for (const Words& layers : {Words{"model.0", "model.2", "model.4"}, Words{"encoder", "hidden", "a_head"}}) {
    const LoadedParameters loaded =
        load_parameters(state_dict(dir, parameters, theta, weights_and_biases(layers)), parameters);
    EXPECT_EQ(loaded.theta, theta);
    ASSERT_EQ(loaded.notes.size(), 1u);
    EXPECT_TRUE(starts_with(loaded.notes[0], dir.file("torch.safetensors"), layers[0] + " is 0, " + layers[1] + " is 2",
                            "names differ"));
  }
  const LoadedParameters own =
      load_parameters(state_dict(dir, parameters, theta, weights_and_biases({"0", "2", "4"})), parameters);
  EXPECT_EQ(own.theta, theta);
  EXPECT_TRUE(own.notes.empty());
}

TEST(ParameterNames, LikeLayersByTheirNumbers) {
  const TempDir dir;
  const auto parameters = parameters_of("mlp:3-3-3-3:tanh");
  const Numbers theta = counted(parameters);
  for (const Words& layers : {Words{"fc1", "fc2", "fc3"}, Words{"net.2", "net.8", "net.10"}, Words{"2", "4", "6"},
                              Words{"a0.b1", "a0.b2", "a1.b0"}})
    EXPECT_EQ(load_parameters(state_dict(dir, parameters, theta, weights_and_biases(layers)), parameters).theta, theta)
        << layers[2];
  const std::string path = state_dict(dir, parameters, theta, weights_and_biases({"encoder", "hidden", "head"}));
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { load_parameters(path, parameters); }), path,
                          "tensor 0.weight is missing", "encoder.bias [3], encoder.weight [3, 3]",
                          "expected 0.bias [3], 0.weight [3, 3]"));
}

TEST(ParameterNames, OtherNetworksStayRefused) {
  const TempDir dir;
  const auto parameters = parameters_of("mlp:4-3-2:tanh");
  const auto error = [&](const std::string& model, const Words& names) {
    const auto theirs = parameters_of(model);
    const std::string path = state_dict(dir, theirs, counted(theirs), names);
    return message_of<InputError>([&] { load_parameters(path, parameters); });
  };
  EXPECT_TRUE(contains(error("mlp:4-3-5:tanh", weights_and_biases({"fc1", "fc2"})), "missing", "fc2.weight [5, 3]"));
  EXPECT_TRUE(contains(error("mlp:4-3-3-2:tanh", weights_and_biases({"fc1", "fc2", "fc3"})), "missing", "fc3"));
  // A layer's weight without its bias, and one that is called otherwise.
  EXPECT_TRUE(contains(error("mlp:4-3-2:tanh", {"9.weight", "0.bias", "2.weight", "2.bias"}), "0.weight is missing"));
  EXPECT_TRUE(contains(error("mlp:4-3-2:tanh", {"a.kernel", "a.bias", "b.kernel", "b.bias"}), "0.weight is missing"));
  EXPECT_TRUE(contains(error("mlp:4-3-5:tanh", weights_and_biases({"0", "2"})), "2.weight has shape [5, 3]"));
}

TEST(ParameterNames, WhatNoParameterCanBeIsLeftOut) {
  const TempDir dir;
  const auto parameters = parameters_of("mlp:4-3-2:tanh");
  const Numbers theta = counted(parameters), counts{1, 2}, running{0.5, 2};
  const Words names = weights_and_biases({"fc1", "fc2"});
  const LoadedParameters loaded =
      load_parameters(state_dict(dir, parameters, theta, names, {{"bn.batches", Shape{2}, counts, "U8"}}), parameters);
  EXPECT_EQ(loaded.theta, theta);
  ASSERT_EQ(loaded.notes.size(), 2u);
  EXPECT_TRUE(contains(loaded.notes[0], "not read", "bn.batches (integers)"));
  // Numbers that could be parameters are not dropped.
  const std::string path = state_dict(dir, parameters, theta, names, {{"bn.mean", Shape{2}, running}});
  EXPECT_TRUE(contains(message_of<InputError>([&] { load_parameters(path, parameters); }), "bn.mean [2]"));
}

/// mlp:1-1 in float32, beside a tensor of a type that is not read.
std::string with_f8(const TempDir& dir, const std::string& name, const std::string& dtype) {
  const std::string header = R"({"0.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},")" + name +
                             R"(":{"dtype":")" + dtype + R"(","shape":[1],"data_offsets":[4,5]},)" +
                             R"("0.bias":{"dtype":"F32","shape":[1],"data_offsets":[5,9]}})";
  const std::string data = test::bytes_of({0, 0, 0xc0, 0x3f, 7, 0, 0, 0, 0x40});
  return dir.write("f8.safetensors",
                   test::bytes_of({static_cast<int>(header.size()), 0, 0, 0, 0, 0, 0, 0}) + header + data);
}

TEST(ParameterNames, TypesThatAreNotReadMatterWhereTheyAreNeeded) {
  const TempDir dir;
  const auto parameters = parameters_of("mlp:1-1");
  const std::string path = with_f8(dir, "scale", "F8_E4M3");
  const SafeTensors file = read_safetensors(path);
  EXPECT_EQ(file.tensors.at("0.bias").values, (Numbers{2}));
  EXPECT_EQ(file.unread, (std::map<std::string, std::string>{{"scale", "F8_E4M3"}}));
  const LoadedParameters loaded = load_parameters(path, parameters);
  EXPECT_EQ(loaded.theta, (Numbers{1.5, 2}));
  ASSERT_EQ(loaded.notes.size(), 1u);
  EXPECT_TRUE(contains(loaded.notes[0], "scale (F8_E4M3)"));
  std::string needed = read_text(path);
  needed.replace(needed.find("\"F32\""), 5, "\"F99\"");
  const std::string bad = dir.write("bad.safetensors", needed);
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { load_parameters(bad, parameters); }), bad,
                          "tensor 0.weight has dtype F99, expected F16, BF16, F32"));
}

TEST(ParameterNames, TheProgramSaysWhatItTook) {
  const TempDir dir;
  const auto parameters = parameters_of("mlp:2-3-2:tanh");
  const std::string path = state_dict(dir, parameters, counted(parameters), weights_and_biases({"fc1", "fc2"}));
  const std::string theta = dir.file("theta.npy");
  write_npy<double>(theta, Shape{static_cast<Index>(counted(parameters).size())}, counted(parameters));
  const auto gradient = [&](const std::string& params) {
    return test::run_program({"gradient", "--model", "mlp:2-3-2:tanh", "--data",
                              dir.write("a.csv", "1,2,0\n3,4,1\n0,5,1\n"), "--device", "cpu", "--params", params,
                              "--out", dir.file("g.npy")});
  };
  const test::ProgramResult named = gradient(path);
  EXPECT_EQ(named.exit_code, 0) << named.err;
  EXPECT_TRUE(contains(named.err, "note: " + path, "fc1 is 0, fc2 is 2"));
  EXPECT_EQ(named.out, gradient(theta).out);
}

}  // namespace
}  // namespace hso
