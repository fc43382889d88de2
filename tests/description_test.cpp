// SPDX-License-Identifier: Apache-2.0
//
// What is said of data: for people, as JSON, and what looks odd.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/prepared_data.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::ProgramResult;
using test::run_program;
using test::TempDir;
using Json = nlohmann::json;

PreparedData prepare(const std::string& text, DataRequest request = {}, const std::string& model = "mlp:2-3-2:tanh",
                     LossKind loss = LossKind::cross_entropy) {
  const TempDir dir;
  request.data = dir.write("a.csv", text);
  request.part = DataPart::all;
  return prepare_data(parse_model(model), loss, request);
}

/// All notes of these lines as one text.
std::string notes(const std::string& text) {
  std::string out;
  for (const std::string& note : prepare(text).description.source.notes) out += note + "\n";
  return out;
}

TEST(Description, NotesWhatLooksOdd) {
  EXPECT_EQ(notes("1,5,0\n2,6,1\n1,6,1\n"), "");
  EXPECT_TRUE(contains(notes("1,5,0\n2,6,0\n"), "every label is 0"));
  EXPECT_TRUE(contains(notes("1,5,ash\n2,6,ash\n"), "every label is ash"));
  EXPECT_TRUE(contains(notes("a,b,c\n1,5,0\n1,6,1\n"), "1 of 2 inputs never change: 'a'"));
  EXPECT_TRUE(contains(notes("1,5,0\n1,5,1\n"), "all samples have the same inputs"));
  EXPECT_TRUE(contains(notes("1,5,1\n2,6,1\n"), "every label is 1"));
  const TempDir dir;
  const auto of_split = [&](const std::string& text, double fraction) {
    DataRequest request;
    request.data = dir.write("s.csv", text);
    request.test_fraction = fraction;
    return prepare_data(parse_model("mlp:1-4"), LossKind::cross_entropy, request).description;
  };
  EXPECT_TRUE(contains(of_split("1,1\n2,2\n3,3\n", 0).text(), "no label is 0: do the labels run from 1?"));
  EXPECT_TRUE(contains(of_split("1,0\n2,3\n3,1\n", 0).text(), "1 of 4 classes have no sample: 2"));
  EXPECT_TRUE(contains(of_split("1,0\n2,1\n3,2\n", 0.4).text(), "classes in the test part alone: "));
}

TEST(Description, SaysWhatWasTaken) {
  const PreparedData p = prepare("width;height;kind\n1;5;yew\n2;-8;ash\n4;6;yew\n");
  EXPECT_TRUE(contains(p.description.text(), "a.csv: csv, separated by ';', line 1 names the columns",
                       "3, inputs [2] (text) from -8 to 6", "column 2 'kind' (the last); 2 classes (ash 1, yew 2)",
                       "unit (fitted on these rows), inputs from -1 to 0.75"));
  const Json json = Json::parse(p.description.json());
  EXPECT_EQ(json.at("rows"), 3);
  EXPECT_EQ(json.at("input_shape"), (std::vector<int>{2}));
  EXPECT_EQ(json.at("dtype"), "text");
  EXPECT_EQ(json.at("range"), (std::vector<double>{-8, 6}));
  EXPECT_EQ(json.at("class_names"), (std::vector<std::string>{"ash", "yew"}));
  EXPECT_EQ(json.at("class_counts"), (std::vector<int>{1, 2}));
  EXPECT_EQ(json.at("column_names"), (std::vector<std::string>{"width", "height"}));
  EXPECT_EQ(json.at("scaled_range"), (std::vector<double>{-1, 0.75}));
}

TEST(Description, ValuesAndReconstruction) {
  const PreparedData values = prepare("1,5,0.5\n2,6,-3\n", {}, "mlp:2-3-1:tanh", LossKind::squared_error);
  EXPECT_TRUE(contains(values.description.text(), "values [1] from -3 to 0.5"));
  EXPECT_EQ(Json::parse(values.description.json()).at("target_range"), (std::vector<double>{-3, 0.5}));
  EXPECT_TRUE(contains(
      prepare("1,5,0\n2,6,7\n", {.reconstruct = true}, "mlp:2-3-2:tanh", LossKind::squared_error).description.text(),
      "targets  the scaled inputs"));
}

TEST(Description, InputsThatDoNotFitFloat32AreBlamed) {
  const std::string rows = "1e39,5,0\n2,6,1\n";
  DataRequest request{.scaling = Scaling::none, .single = true};
  EXPECT_TRUE(contains(message_of<InputError>([&] { prepare(rows, request); }), "a.csv", "input 0 is 1e+39",
                       "does not fit float32"));
  request.single = false;
  EXPECT_EQ(prepare(rows, request).split.train.inputs[0], 1e39);
  request = {.scaling = Scaling::per_feature, .single = true};
  EXPECT_EQ(prepare("1e200,5,0\n-1e200,6,1\n", request).split.train.inputs[0], 1);
}

TEST(Description, RunsKeepTheNamesOfTheirClasses) {
  const TempDir dir;
  const std::string data = dir.write("a.csv", "1,5,yew\n2,6,ash\n3,4,elm\n1,2,yew\n2,2,ash\n");
  const std::string run = dir.file("run");
  const ProgramResult trained =
      run_program({"train", "--data", data, "--model", "mlp:2-3-3:tanh", "--device", "cpu", "--optimizer", "sgd",
                   "--epochs", "1", "--test-fraction", "0", "--out", run, "--quiet"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(trained.err, "");
  // Another file with fewer of them, and one with another.
  const auto eval = [&](const std::string& text) {
    return run_program({"eval", "--checkpoint", run, "--data", dir.write("b.csv", text), "--json"});
  };
  const ProgramResult fewer = eval("2,6,ash\n1,5,yew\n");
  ASSERT_EQ(fewer.exit_code, 0) << fewer.err;
  EXPECT_EQ(Json::parse(fewer.out).at("data").at("class_counts"), (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(eval("2,6,oak\n").exit_code, 3);
  EXPECT_TRUE(contains(eval("2,6,oak\n").err, "line 1: field 3", "'oak'", "ash, elm, yew"));
  const ProgramResult further =
      run_program({"train", "--start", run, "--data", dir.file("b.csv"), "--device", "cpu", "--optimizer", "sgd",
                   "--epochs", "1", "--test-fraction", "0", "--out", dir.file("next")});
  EXPECT_EQ(further.exit_code, 3);
  EXPECT_TRUE(contains(further.err, "'oak'", "as in the training data"));
}

TEST(Description, ComparisonsSayItOnce) {
  const TempDir dir;
  const std::string data = dir.write("a.csv", "1,5,1\n2,6,0\n3,4,1\n1,2,0\n2,2,1\n");
  const ProgramResult r = run_program({"train", "--data", data, "--model", "mlp:2-3-2:tanh", "--device", "cpu",
                                       "--compare", "sgd,adam", "--compare-seeds", "1", "--compare-rates", "1",
                                       "--compare-budget", "steps:2", "--out", dir.file("c"), "--json"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.err.find("data " + data), r.err.rfind("data " + data));
  EXPECT_TRUE(contains(r.err, "data " + data));
  EXPECT_EQ(Json::parse(r.out).at("data").at("classes"), 2);
}

TEST(Description, OptionsOfARunGoWithItsOwnKindOfFile) {
  const TempDir dir;
  const std::string run = dir.file("run");
  const std::string data = dir.write("a.csv", "kind;x;y\n0;5;1\n1;6;2\n1;6;1\n");
  ASSERT_EQ(run_program({"train", "--data", data, "--label", "kind", "--model", "mlp:2-3-2:tanh", "--device", "cpu",
                         "--optimizer", "sgd", "--epochs", "1", "--test-fraction", "0", "--out", run, "--quiet"})
                .exit_code,
            0);
  const ProgramResult own = run_program({"eval", "--checkpoint", run, "--json"});
  EXPECT_TRUE(contains(own.err, "column 0 'kind' (as asked)"));
  const std::string arrays = std::string(HSO_SOURCE_DIR) + "/tests/data/formats/";
  const std::string other = arrays + "x.npy," + arrays + "y.npy";
  EXPECT_TRUE(contains(run_program({"eval", "--checkpoint", run, "--data", other}).err, "y.npy: sample 2 has label 2"));
  const ProgramResult given = run_program({"eval", "--checkpoint", run, "--data", other, "--label", "kind"});
  EXPECT_EQ(given.exit_code, 2);
  EXPECT_TRUE(contains(given.err, "label", "CSV files alone"));
}

}  // namespace
}  // namespace hso
