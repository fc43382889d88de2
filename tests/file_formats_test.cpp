// SPDX-License-Identifier: Apache-2.0
//
// The same twelve samples in every format, as numpy, pandas and gzip write them (data/formats/make.py), under every
// scaling: every command and the library see the same numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "hsogpu/hsogpu.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::ProgramResult;
using test::run_program;
using Json = nlohmann::json;
using Numbers = std::vector<double>;
using Words = std::vector<std::string>;

std::string folder() { return std::string(HSO_SOURCE_DIR) + "/tests/data/formats/"; }
std::string file(const std::string& name) { return folder() + name; }

struct Source {
  std::string name;
  std::string format;
  std::string data;      ///< as --data takes it, in the folder
  Words flags{};         ///< that it needs
  bool names = false;    ///< the labels are words
  bool parts = false;    ///< it has a test part of its own
  std::string labels{};  ///< what is said of where they are from
};

std::string spec(const Source& source) {
  const std::size_t comma = source.data.find(',');
  return comma == std::string::npos ? file(source.data)
                                    : file(source.data.substr(0, comma)) + "," + file(source.data.substr(comma + 1));
}

std::vector<Source> sources() {
  const auto npy = [](const std::string& x, const std::string& y) {
    return Source{x + "_" + y, "npy", x + ".npy," + y + ".npy", {}, false, false, y + ".npy"};
  };
  const auto table = [](const std::string& name, const std::string& labels) {
    return Source{name, "csv", name + ".csv", {}, false, false, labels};
  };
  const auto images = [](const std::string& name) { return Source{name, "idx", name, {}, false, true, "labels"}; };
  std::vector<Source> out{
      npy("x", "y"),
      npy("x_float32", "y_int8"),
      npy("x_uint8", "y_floats"),
      npy("x_fortran", "y_column"),
      npy("x_version3", "y_one_hot"),
      npy("x_native", "y"),
      {"stored", "npz", "stored.npz", {}, false, false, "stored.npz:y"},
      {"deflated", "npz", "deflated.npz", {}, false, false, "deflated.npz:y"},
      {"named", "npz", "named.npz:images:targets", {}, false, false, "named.npz:targets, one-hot rows"},
      table("pandas", "column 4 'species' (the last)"),
      {"packed", "csv", "packed.csv.gz", {}, false, false, "column 4 'species'"},
      table("bare", "column 4 (the last)"),
      table("semicolon", "column 4 'species'"),
      {"tab", "csv", "tab.tsv", {}, false, false, "column 4 'species'"},
      {"bar", "csv", "bar.data", {}, false, false, "column 4 'species'"},
      table("quoted", "column 4 'species'"),
      table("quoted_names", "column 4 'species'"),
      table("byte_order_mark", "column 4 'species'"),
      {"blanks", "csv", "blanks.txt", {}, false, false, "column 4 (the last)"},
      table("savetxt", "column 4 (the last)"),
      table("class_first", "column 0 'Class' (by its name)"),
      {"numbered", "csv", "numbered.csv", {"--header", "yes"}, false, false, "column 4 '4' (the last)"},
      {"names", "csv", "names.csv", {}, true, false, "column 4 'species'"},
      {"names_inside", "csv", "names_inside.csv", {"--label", "species"}, true, false, "column 1 'species' (as asked)"},
      images("idx"),
      images("idx_dot"),
      images("idx_int32"),
      images("idx_int16"),
  };
  return out;
}

constexpr const char* kModel = "mlp:4-3-3:tanh";

/// Of the array files, scaled by the definitions.
Dataset scaled_by_hand(Scaling scaling) {
  const Array x = read_npy(file("x.npy")), y = read_npy(file("y.npy"));
  Dataset data{"by hand", 12, Shape{4}, x.values, Shape{}, y.values, 3};
  const auto columns = scaling == Scaling::per_feature ? 4u : 1u;
  for (std::size_t j = 0; j < columns; ++j) {
    Numbers column;
    for (std::size_t i = j; i < x.values.size(); i += columns) column.push_back(x.values[i]);
    const double n = static_cast<double>(column.size());
    const double mean = std::accumulate(column.begin(), column.end(), 0.0) / n;
    double squares = 0;
    for (const double v : column) squares += (v - mean) * (v - mean);
    const bool shifts = scaling == Scaling::standard || scaling == Scaling::per_feature;
    const double largest = *std::max_element(column.begin(), column.end());
    const double scale = scaling == Scaling::none ? 1 : shifts ? std::sqrt(squares / n) : largest;
    for (std::size_t i = j; i < x.values.size(); i += columns)
      data.inputs[i] = (x.values[i] - (shifts ? mean : 0)) / scale;
  }
  return data;
}

std::vector<double> start() {
  const auto network = build_network<double>(parse_model(kModel), LossKind::cross_entropy);
  return initial_parameters(network.parameters, Initialization::glorot, 0);
}

struct Answer {
  double loss = 0;
  Numbers gradient;
};

/// At theta, by the library.
Answer answer(const Dataset& data, const Numbers& theta) {
  const auto context = Context::create("cpu");
  const auto network = build_network<double>(parse_model(kModel), LossKind::cross_entropy);
  const DeviceData<double> placed(*context, network, data);
  NetworkObjective<double> objective(*context, network, placed);
  const Buffer<double> point(*context, theta);
  Buffer<double> g(*context, point.size());
  Answer out;
  out.loss = objective.gradient(point.data(), g.data());
  out.gradient = g.download();
  return out;
}

void expect_near(const Numbers& found, const Numbers& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-12 * (1 + std::abs(expected[i]))) << what << " " << i;
}

class FileFormats : public testing::TestWithParam<std::tuple<Source, Scaling>> {
 protected:
  /// The exit code must be 0, and the data described as it is.
  Json run(const std::string& command, Words arguments, bool json = true) {
    arguments.insert(arguments.begin(), command);
    if (json) arguments.emplace_back("--json");
    const ProgramResult r = run_program(arguments);
    EXPECT_EQ(r.exit_code, 0) << command << ": " << r.err;
    if (r.exit_code != 0 || !json) return {};
    EXPECT_TRUE(contains(r.err, command == "train" ? "" : "data " + spec(source_))) << command;
    const Json out = Json::parse(r.out);
    expect_described(out.at("data"), command);
    return out;
  }
  void expect_described(const Json& data, const std::string& command) {
    SCOPED_TRACE(command);
    const bool test_part = source_.parts && data.at("test_rows") > 0;
    EXPECT_EQ(data.at("source"), spec(source_));
    EXPECT_EQ(data.at("format"), source_.format);
    EXPECT_EQ(data.at("rows"), 12);
    EXPECT_EQ(data.at("test_rows"), test_part ? 3 : 0);
    EXPECT_EQ(data.at("range"), (Numbers{lowest_, highest_}));
    EXPECT_EQ(data.at("classes"), 3);
    EXPECT_EQ(data.at("class_counts"), (std::vector<int>{4, 4, 4}));
    EXPECT_EQ(data.contains("class_names"), source_.names);
    if (source_.names) {
      EXPECT_EQ(data.at("class_names"), (Words{"ash", "oak, red", "yew"}));
    }
    EXPECT_EQ(data.at("scaling"), scaling_name(scaling_));
    EXPECT_TRUE(contains(data.at("labels").get<std::string>(), source_.labels));
    EXPECT_EQ(data.at("notes"), Words{}) << data.at("notes");
  }
  Words problem() const {
    Words out{"--data",  spec(source_), "--scaling", scaling_name(scaling_), "--device", "cpu", "--precision",
              "float64", "--model",     kModel};
    out.insert(out.end(), source_.flags.begin(), source_.flags.end());
    return out;
  }
  static Words with(Words a, const Words& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  const Source source_ = std::get<0>(GetParam());
  const Scaling scaling_ = std::get<1>(GetParam());
  const Numbers values_ = read_npy(file("x.npy")).values;
  const double lowest_ = *std::min_element(values_.begin(), values_.end());
  const double highest_ = *std::max_element(values_.begin(), values_.end());
  test::TempDir dir_;
};

/// Sums over the same rows in the same order, or in that of a split.
TEST_P(FileFormats, EveryCommandSeesTheSameNumbers) {
  const Dataset expected_data = scaled_by_hand(scaling_);
  const Answer expected = answer(expected_data, start());
  const std::string g = dir_.file("g.npy"), run_folder = dir_.file("run");

  EXPECT_NEAR(run("gradient", with(problem(), {"--out", g})).at("loss").get<double>(), expected.loss, 1e-12);
  expect_near(read_npy(g).values, expected.gradient, "gradient");
  EXPECT_NEAR(run("hessian", with(problem(), {"--out", dir_.file("h.npy")})).at("loss").get<double>(), expected.loss,
              1e-12);
  EXPECT_TRUE(run("check", with(problem(), {"--directions", "1"})).at("passed").get<bool>());
  const Numbers h = read_npy(dir_.file("h.npy")).values;
  double trace = 0;
  for (std::size_t i = 0; i < 27; ++i) trace += h[28 * i];
  EXPECT_NEAR(run("spectrum", problem()).at("trace").at("value").get<double>(), trace, 1e-11 * (1 + std::abs(trace)));

  // A test part of its own has its own rows; no other is split off here.
  const Words whole = source_.parts ? Words{} : Words{"--test-fraction", "0"};
  const Json trained = run("train", with(with(problem(), whole), {"--optimizer", "sgd", "--rate", "0.1", "--epochs",
                                                                  "1", "--batch", "12", "--out", run_folder}));
  const std::string metrics = read_text(run_folder + "/metrics.jsonl");
  EXPECT_NEAR(Json::parse(metrics.substr(0, metrics.find('\n'))).at("train_loss").get<double>(), expected.loss, 1e-12);
  const double last = trained.at("train_loss").get<double>();
  const Numbers theta = read_npy(run_folder + "/theta.npy").values;
  EXPECT_NEAR(answer(expected_data, theta).loss, last, 1e-12);
  EXPECT_NEAR(run("eval", {"--checkpoint", run_folder}).at("train").at("loss").get<double>(), last, 1e-12);
  EXPECT_NEAR(run("gradient", {"--checkpoint", run_folder, "--out", g}).at("loss").get<double>(), last, 1e-12);
  expect_near(read_npy(g).values, answer(expected_data, theta).gradient, "gradient of the run");
  const Json pruned = run(
      "prune", {"--checkpoint", run_folder, "--score", "magnitude", "--sparsity", "0.5", "--out", dir_.file("pruned")});
  EXPECT_NEAR(pruned.at("before").at("train").at("loss").get<double>(), last, 1e-12);
}

TEST_P(FileFormats, TheLibrarySeesTheSameNumbers) {
  const Dataset expected = scaled_by_hand(scaling_);
  DataRequest request;
  request.data = spec(source_);
  request.scaling = scaling_;
  request.part = DataPart::all;
  for (std::size_t i = 0; i + 1 < source_.flags.size(); i += 2) {
    if (source_.flags[i] == "--label") request.options.label = source_.flags[i + 1];
    if (source_.flags[i] == "--header") request.options.header = parse_csv_header(source_.flags[i + 1]);
  }
  const PreparedData prepared = prepare_data(parse_model(kModel), LossKind::cross_entropy, request);
  expect_near(prepared.split.train.inputs, expected.inputs, "prepare_data");
  EXPECT_EQ(prepared.split.train.targets, expected.targets);

  DataOptions options = request.options;
  options.targets = Targets::classes;
  Dataset loaded = load_all(request.data, options);
  Standardizer::fit(loaded, scaling_).apply(loaded);
  EXPECT_EQ(loaded.inputs, prepared.split.train.inputs);
  EXPECT_EQ(loaded.targets, expected.targets);
}

INSTANTIATE_TEST_SUITE_P(All, FileFormats,
                         testing::Combine(testing::ValuesIn(sources()),
                                          testing::Values(Scaling::none, Scaling::unit_range, Scaling::standard,
                                                          Scaling::per_feature)),
                         [](const auto& test) {
                           std::string name =
                               std::get<0>(test.param).name + "_" + scaling_name(std::get<1>(test.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(DataDefaults, EveryFormatIsScaledAlikeWhenNothingIsSaid) {
  Numbers losses;
  const test::TempDir dir;
  for (const char* name : {"x.npy", "pandas.csv", "stored.npz", "idx"}) {
    const std::string data = std::string(name) == "x.npy" ? file("x.npy") + "," + file("y.npy") : file(name);
    const ProgramResult r = run_program({"gradient", "--model", kModel, "--data", data, "--precision", "float64",
                                         "--device", "cpu", "--out", dir.file("g.npy"), "--json"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(Json::parse(r.out).at("data").at("scaling"), "unit");
    losses.push_back(Json::parse(r.out).at("loss").get<double>());
  }
  for (const double loss : losses) EXPECT_NEAR(loss, losses[0], 1e-14);
}

}  // namespace
}  // namespace hso
