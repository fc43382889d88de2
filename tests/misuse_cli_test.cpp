// SPDX-License-Identifier: Apache-2.0
//
// Files and options that the program must not take: refused before any work, with the file or the flag named.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/json_text.hpp"
#include "io/shown_text.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "train/schedule.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::message_of;
using test::ProgramResult;
using test::run_program;

class Misuse : public testing::Test {
 protected:
  using Words = std::vector<std::string>;
  void SetUp() override {
    ASSERT_EQ(run_program({"train", "--device", "cpu", "--data", data_, "--model", "mlp:2-4-2:tanh", "--out", run_,
                           "--optimizer", "sgd", "--epochs", "1", "--quiet"})
                  .exit_code,
              0);
  }
  static void expect(const Words& words, int code, const Words& parts) {
    const ProgramResult r = run_program(words);
    EXPECT_EQ(r.exit_code, code) << r.err;
    for (const std::string& part : parts) EXPECT_TRUE(contains(r.err, part));
  }
  void expect_eval(int code, const Words& parts) const { expect({"eval", "--checkpoint", run_}, code, parts); }
  /// A file of the run with other content for the time of a check.
  template <class F>
  void with_file(const std::string& name, const std::string& text, const F& check) const {
    const std::string path = run_ + "/" + name, before = read_text(path);
    dir_.write("run/" + name, text);
    check();
    dir_.write("run/" + name, before);
  }
  void with_weight(double value, const std::string& dtype, const std::string& extra, const Words& parts) const {
    const std::string path = run_ + "/model.safetensors", before = read_text(path);
    const SafeTensors read = read_safetensors(path);
    std::vector<NamedTensor> tensors;
    std::vector<std::vector<double>> values;
    values.reserve(read.tensors.size() + 1);
    for (const auto& [name, tensor] : read.tensors) {
      values.push_back(tensor.values);
      values.back()[0] = value;
      if (dtype == "U8") std::fill(values.back().begin(), values.back().end(), 1.0);
      tensors.push_back({name, tensor.shape, values.back(), dtype});
    }
    if (!extra.empty()) tensors.push_back({extra, Shape{1}, Span<const double>(values[0].data(), 1)});
    write_safetensors(path, tensors, "float64");
    expect_eval(3, parts);
    dir_.write("run/model.safetensors", before);
  }

  test::TempDir dir_;
  std::string data_ = test::write_tiny_data(dir_);
  std::string run_ = dir_.file("run");
};

TEST_F(Misuse, ParametersThatAreNone) {
  with_weight(NAN, "F64", "", {"model.safetensors", "nan at 0"});
  with_weight(INFINITY, "F64", "", {"model.safetensors", "inf at 0"});
  with_weight(1, "U8", "", {"model.safetensors", "holds integers"});
  with_weight(1, "F64", "running_mean", {"tensor running_mean is no parameter of the model"});
}

TEST_F(Misuse, ALossThatIsNotFiniteIsNullWithItsReason) {
  const std::string path = run_ + "/model.safetensors";
  const SafeTensors read = read_safetensors(path);
  std::vector<NamedTensor> tensors;
  std::vector<std::vector<double>> values;
  values.reserve(read.tensors.size());
  for (const auto& [name, tensor] : read.tensors) {
    values.emplace_back(tensor.values.size(), 1e300);
    tensors.push_back({name, tensor.shape, values.back()});
  }
  write_safetensors(path, tensors, "float64");
  const ProgramResult r = run_program({"eval", "--checkpoint", run_, "--json"});
  EXPECT_EQ(r.exit_code, 5) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_TRUE(json["train"]["loss"].is_null());
  EXPECT_TRUE(contains(json["train"]["reason"], "not finite"));
}

TEST_F(Misuse, ScalingsThatAreNone) {
  const auto refused = [&](const char* text, const Words& parts) {
    with_file("standardizer.json", text, [&] { expect_eval(3, parts); });
  };
  refused(R"({"mean": [0], "scale": [0]})", {"standardizer.json", "scale 0 is 0"});
  refused(R"({"mean": [0], "scale": [1e-320]})", {"standardizer.json", "scale 0 is"});
  refused(R"({"mean": [0], "scale": [-1]})", {"scale 0 is -1", "above 0"});
  refused(R"({"mean": [1e308], "scale": [1]})", {"mean 0 is 1e+308"});
  refused(R"({"mean": [0, 0, 0], "scale": [1, 1, 1]})", {"3 means", "expected 1 or 2"});
  refused(R"({"mean": [0], "scale": [1], "mean": [1]})", {"'mean' is there twice"});
  with_file("standardizer.json", R"({"mean": [0], "scale": [0]})", [&] {
    expect({"prune", "--checkpoint", run_, "--score", "magnitude", "--out", dir_.file("p")}, 3, {"scale 0 is 0"});
  });
}

TEST_F(Misuse, OptionsOfARunThatWereCutOff) {
  const std::string text = read_text(run_ + "/config.toml");
  for (const std::string& cut :
       {std::string(), text.substr(0, text.find("test_fraction")), text.substr(0, text.find("[optimizer]"))})
    with_file("config.toml", cut, [&] { expect_eval(3, {"config.toml", "is missing", "cut off"}); });
}

TEST_F(Misuse, APipeInPlaceOfAFileIsNotWaitedFor) {
  const std::string pipe = dir_.file("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const char* suffix : {".csv", ".toml", ".npy", ".safetensors"}) fs::create_symlink(pipe, pipe + suffix);
  const Words start{"gradient", "--device", "cpu", "--out", dir_.file("g.npy")};
  const auto refused = [&](const Words& more) {
    Words words = start;
    words.insert(words.end(), more.begin(), more.end());
    expect(words, 3, {"pipe", "expected a regular file"});
  };
  refused({"--model", "mlp:2-4-2", "--data", pipe + ".csv"});
  refused({"--model", "mlp:2-4-2", "--data", pipe + ".npy," + pipe + ".npy"});
  refused({"--model", pipe + ".toml", "--data", data_});
  refused({"--config", pipe + ".toml"});
  refused({"--model", "mlp:2-4-2", "--data", data_, "--params", pipe + ".npy"});
  refused({"--model", "mlp:2-4-2", "--data", data_, "--params", pipe + ".safetensors"});
  for (const char* file : {"config.toml", "model.toml", "standardizer.json", "model.safetensors", "mask.safetensors"}) {
    const std::string path = run_ + "/" + file;
    if (fs::exists(path)) fs::rename(path, path + ".kept");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    expect_eval(3, {file, "expected a regular file"});
    fs::remove(path);
    if (fs::exists(path + ".kept")) fs::rename(path + ".kept", path);
  }
  expect_eval(0, {});
}

TEST_F(Misuse, OutputsAreLookedAtBeforeTheWork) {
  const Words spectrum{"spectrum", "--checkpoint", run_, "--method", "dense", "--device", "cpu"};
  const auto refused = [&](const Words& command, const Words& more, int code, const Words& parts) {
    Words words = command;
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult r = run_program(words);
    EXPECT_EQ(r.exit_code, code) << r.err;
    for (const std::string& part : parts) EXPECT_TRUE(contains(r.err, part));
    EXPECT_EQ(r.err.find("plan"), std::string::npos) << "it had begun";
  };
  for (const char* flag : {"--out", "--svg", "--vectors"}) {
    refused(spectrum, {flag, "/proc/none.x"}, 3, {flag, "/proc/none.x"});
    refused(spectrum, {flag, dir_.file("missing/x")}, 3, {flag, "no folder"});
    refused(spectrum, {flag, run_}, 3, {flag, "folder"});
  }
  refused(spectrum, {"--out", dir_.file("s"), "--svg", dir_.file("./s")}, 2, {"--out and --svg", "two files"});
  refused(spectrum, {"--out", dir_.file("s"), "--svg", fs::relative(dir_.file("s"))}, 2,
          {"--out and --svg", "two files"});
  refused(spectrum, {"--out", data_}, 2, {"--out", "the run's --data", "would overwrite"});
  refused(spectrum, {"--out", run_ + "/theta.npy"}, 2, {"--out", "--checkpoint", "would overwrite"});
  const Words gradient{"gradient", "--model", "mlp:2-4-2:tanh", "--data", data_, "--device", "cpu"};
  fs::copy(run_ + "/theta.npy", dir_.file("t.npy"));
  fs::create_symlink(dir_.file("t.npy"), dir_.file("link.npy"));
  refused(gradient, {"--params", dir_.file("t.npy"), "--out", dir_.file("link.npy")}, 2,
          {"--params", "would overwrite"});
  refused(gradient, {"--out", data_}, 2, {"--data", "would overwrite"});
  EXPECT_FALSE(fs::exists(dir_.file("s")));
}

TEST_F(Misuse, ATrainingDoesNotRemoveWhatItReads) {
  fs::copy(data_, run_ + "/data.csv");
  expect(
      {"train", "--device", "cpu", "--data", run_ + "/data.csv", "--model", "mlp:2-4-2", "--out", run_, "--overwrite"},
      2, {"--data", "would be overwritten"});
  expect({"train", "--device", "cpu", "--config", run_ + "/config.toml", "--out", run_, "--overwrite"}, 2,
         {"--config", "would be overwritten"});
  EXPECT_TRUE(fs::exists(run_ + "/model.safetensors"));
}

TEST_F(Misuse, OptionsThatDoNotApplyAreRefused) {
  const auto refused = [&](const Words& words, const std::string& flag) {
    expect(words, 2, {flag + ": does nothing"});
  };
  const auto prune = [&](const Words& more, const std::string& flag) {
    Words words{"prune", "--checkpoint", run_, "--out", dir_.file("never")};
    words.insert(words.end(), more.begin(), more.end());
    refused(words, flag);
  };
  prune({"--structured", "2:4", "--sparsity", "0.9"}, "--sparsity");
  prune({"--keep", "5", "--sparsity", "0.9"}, "--sparsity");
  prune({"--multiply-adds", "0.5"}, "--multiply-adds");
  prune({"--score", "obs", "--flat", "count:3"}, "--flat");
  prune({"--score", "magnitude", "--samples", "3"}, "--samples");
  prune({"--rate", "0.1"}, "--rate");
  const auto spectrum = [&](const Words& more, const std::string& flag) {
    Words words{"spectrum", "--checkpoint", run_};
    words.insert(words.end(), more.begin(), more.end());
    refused(words, flag);
  };
  spectrum({"--method", "dense", "--k", "3"}, "--k");
  spectrum({"--method", "lanczos", "--probes", "30"}, "--probes");
  spectrum({"--method", "slq", "--trace-method", "xtrace"}, "--trace-method");
  spectrum({"--near", "0.1", "--which", "both"}, "--which");
  spectrum({"--method", "trace", "--svg", dir_.file("s.svg")}, "--svg");
  spectrum({"--kind", "ggn", "--draws", "3"}, "--draws");
  refused({"hessian", "--checkpoint", run_, "--out", dir_.file("h"), "--secant-rate", "1"}, "--secant-rate");
  for (const Words& more : {Words{}, Words{"--compare", "sgd"}}) {
    const auto train = [&](Words words, const std::string& flag) {
      words.insert(words.begin(), {"train", "--data", "digits", "--out", dir_.file("never")});
      words.insert(words.end(), more.begin(), more.end());
      refused(words, flag);
    };
    train({"--test-fraction", "0.5"}, "--test-fraction");
    train({"--spectrum-kind", "ggn"}, "--spectrum-kind");
    train({"--start", run_, "--initialization", "kaiming"}, "--initialization");
  }
  prune({"--score", "magnitude", "--curvature", "ggn"}, "--curvature");
  prune({"--score", "obd", "--damping", "1"}, "--damping");
  prune({"--score", "random", "--no-compensation"}, "--no-compensation");
  prune({"--weight-decay", "1"}, "--weight-decay");
  prune({"--compare", "magnitude,random", "--damping", "1"}, "--damping");
  prune({"--compare", "obs", "--points", "3"}, "--points");
  prune({"--compare", "obs", "--time", "3"}, "--time");
  prune({"--compare", "obs", "--samples", "3"}, "--samples");
  EXPECT_FALSE(fs::exists(dir_.file("never")));
}

TEST_F(Misuse, ALogDeterminantThatIsNoneIsNullWithItsReason) {
  const Words words{"spectrum", "--checkpoint", run_, "--device", "cpu", "--precision", "float64", "--json"};
  for (const Words& more : {Words{"--method", "dense", "--log-det", "0"}, Words{"--method", "slq", "--log-det", "0"}}) {
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    const ProgramResult r = run_program(all);
    EXPECT_EQ(r.exit_code, 5) << r.err;
    const auto json = nlohmann::json::parse(r.out)["log_determinant"];
    EXPECT_TRUE(json["value"].is_null());
    EXPECT_TRUE(contains(json["reason"], "positive definite"));
  }
}

TEST_F(Misuse, NumbersAndSizesBeyondReason) {
  const Words train{"train", "--device", "cpu", "--data", data_, "--quiet", "--out", dir_.file("never")};
  const auto with = [&](const Words& more) {
    Words words = train;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  expect(with({"--optimizer", "sgd", "--rate", "inf"}), 2, {"rate", "'inf'", "finite"});
  expect(with({"--optimizer", "sgd", "--set", "rate=nan"}), 2, {"rate", "'nan'", "finite"});
  std::string deep = "mlp:2";
  for (int i = 0; i < 60000; ++i) deep += "-2";
  const ProgramResult r = run_program(with({"--model", deep}));
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_TRUE(contains(r.err, "mlp:2-2", "119999 layers, expected at most 10000"));
  EXPECT_LT(r.err.size(), 500u) << "it echoes what it was given";
  expect(with({"--model", "mlp:2-2000000000-2000000000-2"}), 4, {"memory", "free"});
  EXPECT_FALSE(fs::exists(dir_.file("never")));
}

TEST(MisuseOfLimits, CountsThatOverflowAreLimitsThatNothingReaches) {
  TrainOptions options;
  options.epochs = INT64_MAX;
  options.batch = 8;
  Schedule schedule(options, false, 64);
  Progress progress;
  progress.calls = progress.accepted = progress.trials = 1000;
  EXPECT_EQ(schedule.stop_reason(progress), "");
  options.epochs = 0;
  options.steps = INT64_MAX / 2 + 1;
  EXPECT_EQ(Schedule(options, true, 64).stop_reason(progress), "");
}

TEST_F(Misuse, NestingIsLimited) {
  const auto safetensors = [&](const std::string& header) {
    std::string bytes(8, '\0');
    for (int i = 0; i < 8; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
    return dir_.write("deep.safetensors", bytes + header + std::string(4, '\0'));
  };
  const std::string start = R"({"a":{"dtype":"F32","data_offsets":[0,4],"shape":)";
  for (const std::string& header : {start + std::string(400000, '['), std::string(400000, '['),
                                    start + std::string(60000, '[') + std::string(60000, ']') + "}}"}) {
    const ProgramResult r = run_program({"gradient", "--model", "mlp:2-4-2", "--data", data_, "--params",
                                         safetensors(header), "--out", dir_.file("g.npy")});
    EXPECT_EQ(r.exit_code, 3);
    EXPECT_TRUE(contains(r.err, "deep.safetensors", "nested"));
    EXPECT_LT(r.err.size(), 500u);
  }
  with_file("standardizer.json", std::string(400000, '['), [&] { expect_eval(3, {"standardizer.json", "nested"}); });
  with_file("config.toml", "a=" + std::string(400000, '['), [&] { expect_eval(3, {"config.toml:1"}); });
  with_file("model.toml", "a=" + std::string(400000, '['), [&] { expect_eval(3, {"model.toml:1"}); });
}

TEST(ShownText, ShortensAndEscapes) {
  EXPECT_EQ(shown("plain, caf\xc3\xa9"), "plain, caf\xc3\xa9");
  EXPECT_EQ(shown("a\x1b[31m\n\xff"), "a\\x1b[31m\\x0a\\xff");
  EXPECT_EQ(shown(std::string(100, 'x')), std::string(80, 'x') + "... (100 bytes)");
  const std::string message = "file.csv: " + std::string(1 << 20, '\x01') + ", expected a number";
  const std::string told = shown_message(message);
  EXPECT_LT(told.size(), 9000u);
  EXPECT_TRUE(contains(told, "file.csv: \\x01", ", expected a number"));
  EXPECT_EQ(shown_message("two\nlines"), "two\nlines");
}

TEST(JsonText, SaysWhatIsWrong) {
  EXPECT_EQ(parse_json_text("[[1, 2], {\"a\": 3}]", "x.json")[1]["a"], 3);
  EXPECT_TRUE(contains(message_of<InputError>([] { parse_json_text("{\"a\": }", "x.json"); }), "x.json: not JSON"));
}

}  // namespace
}  // namespace hso
