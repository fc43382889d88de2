// SPDX-License-Identifier: Apache-2.0
//
// Damaged copies of every kind of file that is read: each is refused with the name of the file, or what is read is
// finite and valid, within 512 MB. The program refuses what the library refuses, with the exit code of that error.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "hsogpu/hsogpu.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"
#include "support/mutants.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "train/options_toml.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::Mutant;
using test::mutant_of;
using test::TempDir;
using Words = std::vector<std::string>;

constexpr std::uint64_t kMutants = 96;
constexpr int kThroughTheProgram = 4;
constexpr rlim_t kMostBytes = rlim_t{512} << 20;
constexpr const char* kModel = "mlp:4-3-3:tanh";

std::string formats_folder() { return std::string(HSO_SOURCE_DIR) + "/tests/data/formats/"; }

/// The address space may grow by kMostBytes while this lives; a sanitizer's own maps are beyond any limit.
class MemoryLimit {
 public:
  MemoryLimit() {
#ifndef __SANITIZE_ADDRESS__
    std::ifstream file("/proc/self/statm");
    rlim_t pages = 0;
    if (!(file >> pages)) return;
    ::getrlimit(RLIMIT_AS, &before_);
    const rlimit limit{pages * 4096 + kMostBytes, before_.rlim_max};
    set_ = ::setrlimit(RLIMIT_AS, &limit) == 0;
#endif
  }
  ~MemoryLimit() {
    if (set_) ::setrlimit(RLIMIT_AS, &before_);
  }

 private:
  bool set_ = false;
  rlimit before_{};
};

void expect_finite(const std::vector<double>& values) {
  for (const double v : values) ASSERT_TRUE(std::isfinite(v));
}

/// One kind of file: how it comes about, how the library reads it, and how the program does.
struct Format {
  std::string name;
  std::string file;  ///< in the folder
  std::function<void(const TempDir&)> make;
  std::function<void(const TempDir&)> read;  ///< and check what was read
  std::function<Words(const TempDir&)> program{};
};

std::ostream& operator<<(std::ostream& out, const Format& format) { return out << format.name; }

const std::vector<ParameterInfo>& parameters() {
  static const auto all = build_network<double>(parse_model(kModel), LossKind::cross_entropy).parameters;
  return all;
}

/// Data that `--data` takes; `spec` is what stands behind the folder. Formats with checksums hold what they held.
Format data_format(const std::string& name, const std::string& from, const std::string& file, bool checksums = false) {
  const auto spec = [=](const TempDir& dir) {
    const bool pair = file.ends_with(".npy"), folder = from.ends_with("/");
    return pair ? dir.file("x.npy") + "," + dir.file("y.npy") : folder ? dir.path().string() : dir.file(file);
  };
  Format out{name, file, {}, {}, {}};
  out.make = [=](const TempDir& dir) {
    if (from.ends_with("/")) return fs::copy(formats_folder() + from, dir.path());
    if (file == "x.npy") fs::copy(formats_folder() + "y.npy", dir.file("y.npy"));
    if (file == "y.npy") fs::copy(formats_folder() + "x.npy", dir.file("x.npy"));
    fs::copy(formats_folder() + from, dir.file(file));
  };
  out.read = [=](const TempDir& dir) {
    const DataSplit data = load_data(spec(dir), 0, 1);
    data.train.validate();
    ASSERT_GT(data.train.size, 0);
    if (!checksums) return;
    const DataSplit good = load_data(formats_folder() + from, 0, 1);
    EXPECT_EQ(data.train.inputs, good.train.inputs);
    EXPECT_EQ(data.train.targets, good.train.targets);
  };
  out.program = [=](const TempDir& dir) {
    return Words{"gradient", "--device", "cpu", "--model", kModel, "--data", spec(dir), "--out", dir.file("g.npy")};
  };
  return out;
}

/// Parameters by `--params`.
Format params_format(const std::string& name, const std::string& file) {
  Format out{name, file, {}, {}, {}};
  out.make = [=](const TempDir& dir) {
    const std::vector<double> theta = initial_parameters(parameters(), Initialization::glorot, 1);
    const std::string path = dir.file(file);
    if (!file.ends_with(".safetensors")) return write_npy<double>(path, Shape{static_cast<Index>(theta.size())}, theta);
    std::vector<NamedTensor> tensors;
    for (const ParameterInfo& p : parameters())
      tensors.push_back({"model." + p.name, p.shape,
                         Span<const double>(theta).subspan(static_cast<std::size_t>(p.offset),
                                                           static_cast<std::size_t>(p.shape.size()))});
    write_safetensors(path, tensors, "float64", {{"format", "pt"}});
  };
  out.read = [=](const TempDir& dir) { expect_finite(load_parameters(dir.file(file), parameters()).theta); };
  out.program = [=](const TempDir& dir) {
    return Words{
        "gradient", "--device",     "cpu",   "--model",        kModel, "--data", formats_folder() + "pandas.csv",
        "--params", dir.file(file), "--out", dir.file("g.npy")};
  };
  return out;
}

/// A file of a run that was trained on named classes and pruned.
Format run_format(const std::string& file) {
  std::string name = "run_" + file;
  std::replace(name.begin(), name.end(), '.', '_');
  Format out{name, "run/" + file, {}, {}, {}};
  out.make = [](const TempDir& dir) {
    const auto run = [](const Words& words) {
      const test::ProgramResult r = test::run_program(words);
      ASSERT_EQ(r.exit_code, 0) << r.err;
    };
    run({"train", "--data", formats_folder() + "names.csv", "--model", kModel, "--device", "cpu", "--optimizer", "sgd",
         "--rate", "0.1", "--epochs", "1", "--scaling", "per-feature", "--quiet", "--out", dir.file("trained")});
    run({"prune", "--checkpoint", dir.file("trained"), "--score", "magnitude", "--sparsity", "0.5", "--device", "cpu",
         "--quiet", "--out", dir.file("run")});
  };
  out.read = [](const TempDir& dir) {
    const SavedRun run = load_run(dir.file("run"));
    expect_finite(run.theta);
    expect_finite(run.standardizer.mean);
    expect_finite(run.standardizer.scale);
    EXPECT_TRUE(run.class_names.has_value());
  };
  out.program = [](const TempDir& dir) { return Words{"eval", "--checkpoint", dir.file("run"), "--device", "cpu"}; };
  return out;
}

Format sparse_format() {
  Format out = run_format("sparse.safetensors");
  out.read = [](const TempDir& dir) {
    const auto network = build_network<double>(parse_model(dir.file("run/model.toml")), LossKind::cross_entropy);
    EXPECT_EQ(read_sparse(dir.file("run/sparse.safetensors"), network.parameters).mask.size(),
              network.parameters.back().offset + network.parameters.back().shape.size());
  };
  out.program = {};  // no command reads it
  return out;
}

Format model_format() {
  Format out{"model", "net.toml", {}, {}, {}};
  out.make = [](const TempDir& dir) {
    dir.write("net.toml",
              "input = [1, 4, 4]\n[[layer]]\ntype = \"conv2d\"\nout = 2\nkernel = 3\npadding = 1\n[[layer]]\n"
              "type = \"tanh\"\n[[layer]]\ntype = \"maxpool2d\"\nkernel = 2\n[[layer]]\ntype = \"flatten\"\n"
              "[[layer]]\ntype = \"linear\"\nname = \"last\"\nout = 3\nbias = false\n");
  };
  out.read = [](const TempDir& dir) {
    const ModelSpec model = parse_model(dir.file("net.toml"));
    EXPECT_GT(summarize(model).back().output.size(), 0);
  };
  out.program = [](const TempDir& dir) { return Words{"models", dir.file("net.toml")}; };
  return out;
}

Format config_format() {
  Format out{"config", "config.toml", {}, {}, {}};
  out.make = [](const TempDir& dir) {
    TrainOptions options;
    options.data = formats_folder() + "pandas.csv";
    options.model = kModel;
    options.wrappers = {"clip:0.5", "warmup:3"};
    options.optimizer_settings = {{"delta", "0.5"}};
    dir.write("config.toml", to_toml(options));
  };
  out.read = [](const TempDir& dir) {
    const std::string path = dir.file("config.toml");
    const TrainOptions options = parse_train_options(read_text(path), path);
    EXPECT_TRUE(std::isfinite(options.weight_decay) && std::isfinite(options.test_fraction));
  };
  out.program = [](const TempDir& dir) {
    return Words{"gradient", "--device", "cpu", "--config", dir.file("config.toml"), "--out", dir.file("g.npy")};
  };
  return out;
}

std::vector<Format> formats() {
  return {data_format("npy_inputs", "x.npy", "x.npy"),
          data_format("npy_fortran", "x_fortran.npy", "x.npy"),
          data_format("npy_labels", "y.npy", "y.npy"),
          data_format("npz_stored", "stored.npz", "a.npz", true),
          data_format("npz_deflated", "deflated.npz", "a.npz", true),
          data_format("csv", "pandas.csv", "a.csv"),
          data_format("csv_names", "names.csv", "a.csv"),
          data_format("csv_gz", "packed.csv.gz", "a.csv.gz", true),
          data_format("idx_images", "idx_int32/", "train-images-idx3-ubyte"),
          data_format("idx_labels", "idx_int32/", "train-labels-idx1-ubyte"),
          data_format("idx_gz", "idx/", "train-images-idx3-ubyte.gz", true),
          params_format("params_npy", "theta.npy"),
          params_format("params_safetensors", "theta.safetensors"),
          run_format("config.toml"),
          run_format("model.toml"),
          run_format("data.json"),
          run_format("standardizer.json"),
          run_format("model.safetensors"),
          run_format("mask.safetensors"),
          sparse_format(),
          model_format(),
          config_format()};
}

class DamagedFiles : public testing::TestWithParam<Format> {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(GetParam().make(dir_));
    ASSERT_NO_THROW(GetParam().read(dir_));
  }
  /// The exit code of the error, 0 when the file was read.
  int read() {
    const MemoryLimit limit;
    try {
      GetParam().read(dir_);
      return 0;
    } catch (const Error& e) {
      EXPECT_TRUE(e.kind() == ErrorKind::input || e.kind() == ErrorKind::usage) << e.what();
      EXPECT_TRUE(contains(e.what(), dir_.path().string()));
      return static_cast<int>(e.kind());
    } catch (const std::exception& e) {
      ADD_FAILURE() << "threw another kind: " << e.what();
      return -1;
    }
  }
  void run_program_on_it(int code) const {
    const std::string err = dir_.file("stderr");
    test::Child child(GetParam().program(dir_), "exec \"$@\" 2>" + err);
    EXPECT_EQ(child.wait(), code);
#ifndef __SANITIZE_ADDRESS__  // its shadow counts
    EXPECT_LT(child.peak_bytes(), kMostBytes);
#endif
    EXPECT_TRUE(contains(read_text(err), dir_.path().string()));
  }
  TempDir dir_;
};

TEST_P(DamagedFiles, AreRefusedByNameOrReadAsSomethingValid) {
  const Format& format = GetParam();
  const std::string good = read_text(dir_.file(format.file));
  int refused = 0;
  for (std::uint64_t number = 0; number < kMutants; ++number) {
    const Mutant mutant = mutant_of(good, 17, number);
    SCOPED_TRACE(mutant.what);
    dir_.write(format.file, mutant.bytes);
    const int code = read();
    if (code > 0 && ++refused <= kThroughTheProgram && format.program) run_program_on_it(code);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(refused, 0) << "or the damage does nothing";
}

INSTANTIATE_TEST_SUITE_P(Every, DamagedFiles, testing::ValuesIn(formats()),
                         [](const auto& one) { return one.param.name; });

TEST(DamagedFilesTable, HasTwoThousandMutants) { EXPECT_GE(formats().size() * kMutants, 2000u); }

}  // namespace
}  // namespace hso
