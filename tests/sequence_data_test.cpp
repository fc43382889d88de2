// SPDX-License-Identifier: Apache-2.0
//
// Data for sequences: the characters of a text, classes for the steps of a sample, tokens that a network looks up.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/data/prepared_data.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"
#include "support/shrink_models.hpp"
#include "support/temp_dir.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

TEST(Characters, AreNumberedInOrderAndFollowedByTheNext) {
  const TempDir dir;
  const std::string path = dir.file("a.txt");
  write_text_atomically(path, "banana\n\xc3\xa9");  // eight characters, the last of two bytes
  const Dataset d = read_characters(path, 3);
  EXPECT_EQ(d.source.class_names, (std::vector<std::string>{"\n", "a", "b", "n", "\xc3\xa9"}));
  EXPECT_EQ(d.size, 2);
  EXPECT_EQ(d.inputs, (Numbers{2, 1, 3, 1, 3, 1}));
  EXPECT_EQ(d.targets, (Numbers{1, 3, 1, 3, 1, 0}));
  EXPECT_EQ(d.classes, 5);
  EXPECT_EQ(d.input_shape, Shape{3});
  EXPECT_EQ(d.target_shape, Shape{3});
  d.validate();
}

TEST(Characters, OfATextAreThoseOfTheTrainingData) {
  const TempDir dir;
  const std::string path = dir.file("a.txt");
  write_text_atomically(path, "abba\nabc");
  DataOptions options;
  options.class_names = std::vector<std::string>{"\n", "a", "b", "c", "d"};
  EXPECT_EQ(read_characters(path, 2, options).classes, 5);
  options.class_names = std::vector<std::string>{"\n", "a", "b"};
  const std::string message = message_of<InputError>([&] { read_characters(path, 2, options); });
  EXPECT_TRUE(contains(message, path + ":2: found the character 'c'")) << message;
  EXPECT_TRUE(contains(message, "one of the 3 of the training data")) << message;
}

TEST(Characters, ThatAreTooFewOrTooManyAreErrors) {
  const TempDir dir;
  const std::string path = dir.file("a.txt");
  write_text_atomically(path, "abcd");
  EXPECT_EQ(read_characters(path, 3).size, 1);
  std::string message = message_of<InputError>([&] { read_characters(path, 4); });
  EXPECT_TRUE(contains(message, "found 4 characters, expected more than the 4")) << message;
  DataOptions options;
  options.outputs = 3;
  message = message_of<InputError>([&] { read_characters(path, 2, options); });
  EXPECT_TRUE(contains(message, "found 4 different characters, expected at most 3")) << message;
  message = message_of<UsageError>([&] { load_data("text:" + path, 0.2, 0); });
  EXPECT_TRUE(contains(message, "embedding or one_hot")) << message;
}

TEST(Characters, OfTheTestPartAreTheEnd) {
  const TempDir dir;
  const std::string path = dir.file("a.txt");
  write_text_atomically(path, "abcdefghijk");
  DataOptions options;
  options.window = 2;
  const DataSplit parts = load_data("text:" + path, 0.4, 7, options);
  EXPECT_EQ(parts.train.inputs, (Numbers{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(parts.test.inputs, (Numbers{6, 7, 8, 9}));
  EXPECT_EQ(parts.test.targets, (Numbers{7, 8, 9, 10}));
}

ModelSpec tagger() { return model_of("[3]", {"embedding count = 4, out = 2", "linear out = 3"}); }

Dataset sequences(const Numbers& tokens, const Numbers& labels) {
  Dataset d;
  d.name = "tags";
  d.size = static_cast<Index>(tokens.size()) / 3;
  d.input_shape = d.target_shape = Shape{3};
  d.inputs = tokens;
  d.targets = labels;
  d.classes = 3;
  return d;
}

TEST(Sequences, NeedAClassInOneStepAtLeast) {
  sequences({0, 1, 2, 3, 0, 1}, {0, -1, 2, -1, -1, 1}).validate();
  std::string message = message_of<InputError>([] { sequences({0, 1, 2, 3, 0, 1}, {0, 1, 2, -1, -1, -1}).validate(); });
  EXPECT_TRUE(contains(message, "sample 1 has the label -1 in all of its 3 steps")) << message;
  message = message_of<InputError>([] { sequences({0, 1, 2, 3, 0, 1}, {0, 1, 2, 0, 3, -1}).validate(); });
  EXPECT_TRUE(contains(message, "sample 1, step 1 has label 3, expected a whole number from 0 to 2, or -1")) << message;
}

TEST(Sequences, OfNoStepsAreErrors) {
  Dataset d = sequences({}, {});
  d.size = 2;
  d.input_shape = Shape{0};
  const std::string message = message_of<InputError>([&] { d.validate(); });
  EXPECT_TRUE(contains(message, "samples of shape [0], expected one number at least")) << message;
}

class SequenceData : public OnDevice {};

TEST_P(SequenceData, OutsideTheVocabularyIsAnErrorThatNamesTheSample) {
  const auto network = build_network<double>(tagger(), LossKind::cross_entropy);
  EXPECT_EQ(network.vocabulary, 4);
  for (const double token : {4.0, -1.0, 0.5}) {
    const Dataset d = sequences({0, 1, 2, 3, token, 1}, {0, 1, 2, 0, 1, 2});
    const std::string message = message_of<InputError>([&] { DeviceData<double>(context(), network, d); });
    EXPECT_TRUE(contains(message, "sample 1, step 1: found the token")) << message;
    EXPECT_TRUE(contains(message, "expected a whole number from 0 to 3")) << message;
  }
}

TEST_P(SequenceData, WithOneLabelForASampleDoesNotFitAModelOverSteps) {
  const auto network = build_network<double>(tagger(), LossKind::cross_entropy);
  Dataset d = sequences({0, 1, 2, 3, 0, 1}, {0, 1});
  d.target_shape = Shape{};
  const std::string message = message_of<InputError>([&] { DeviceData<double>(context(), network, d); });
  EXPECT_TRUE(
      contains(message, "found 1 label(s) for a sample, expected 3 for the model's output [3, 3]; a flatten layer"))
      << message;
}

/// One output leads everywhere: the accuracy is the share of its class among the steps that have one, and the loss the
/// mean of the samples' means, whatever the micro-batches.
TEST_P(SequenceData, CountStepsWithAClassAlone) {
  const auto network = build_network<double>(tagger(), LossKind::cross_entropy);
  const Dataset d = sequences({0, 1, 2, 3, 0, 1, 2, 2, 2}, {0, -1, 1, 0, 0, 0, -1, -1, 2});
  const DeviceData<double> data(context(), network, d);
  Numbers theta(static_cast<std::size_t>(network.graph.parameter_count()), 0.0);
  theta[8 + 6] = std::log(2.0);  // the first bias: probabilities 1/2, 1/4, 1/4
  const Buffer<double> at(context(), Span<const double>(theta));
  for (const Index batch : {3, 2, 1}) {
    const Evaluation e = NetworkObjective<double>(context(), network, data, {.batch = batch}).evaluate(at.data());
    EXPECT_NEAR(e.accuracy, 4.0 / 6, 1e-15);
    EXPECT_NEAR(e.loss, std::log(2.0) * (1.5 + 1 + 2) / 3, 1e-14);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, SequenceData, testing::ValuesIn(contexts()), device_word);

TEST(SequenceModels, LookUpTokensOfTheInputAlone) {
  for (const char* line : {"embedding count = 4, out = 2", "one_hot count = 4"}) {
    const std::string message = message_of<InputError>([&] {
      build_network<double>(model_of("[3, 2]", {"linear out = 3", line, "linear out = 2"}), LossKind::bce);
    });
    EXPECT_TRUE(contains(message, "its tokens come from another layer, expected the network's input")) << message;
  }
}

TEST(SequenceModels, SayWhatDoesNotFit) {
  const auto message = [](const std::string& input, const std::string& line) {
    return message_of<InputError>([&] {
      build_network<double>(model_of(input, {line, "linear out = 2"}), LossKind::bce);
    });
  };
  EXPECT_TRUE(contains(message("[4, 6]", "multihead_attention heads = 4"), "features that divide into heads = 4"));
  EXPECT_TRUE(contains(message("[6]", "transformer heads = 2, hidden = 3"), "expected [steps, features]"));
  EXPECT_TRUE(contains(message("[2, 4, 4]", "positions"), "expected [steps, features]"));
}

/// Scaling would make other tokens of them.
TEST(SequenceModels, LeaveTokensAsTheyAre) {
  const TempDir dir;
  const std::string path = dir.file("a.txt");
  write_text_atomically(path, "abcdabcdabcdabcd");
  const ModelSpec model = model_of("[3]", {"embedding count = 4, out = 2", "linear out = 4"});
  const PreparedData p = prepare_data(model, LossKind::cross_entropy, {.data = "text:" + path});
  EXPECT_EQ(p.split.train.inputs[1], 1);
  EXPECT_EQ(p.description.scaling, Scaling::none);
  EXPECT_EQ(p.description.counts[0] + p.description.counts[1] + p.description.counts[2] + p.description.counts[3],
            3 * p.split.train.size);
}

}  // namespace
}  // namespace hso::test
