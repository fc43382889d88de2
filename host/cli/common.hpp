// SPDX-License-Identifier: Apache-2.0
//
// Options that commands share. Precedence: flag, HSO_* variable, --config FILE.toml, default.
//
//   auto options = std::make_shared<ProblemOptions>(command);         declares --model, --params, --data ...
//   command.runs([options] {
//     Problem p = options->load();                                    everything checked and read
//     with_precision(p.options.precision, [&](auto zero) { using T = decltype(zero); ... });
//     return 0;
//   });
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/process_memory.hpp"
#include "cli/command.hpp"
#include "cli/outputs.hpp"
#include "hsogpu/train/train.hpp"

namespace hso {
struct SavedRun;
}

namespace hso::cli {

/// The flags of some training fields (train/fields.hpp), their HSO_* variables and --config. Of a flag that is given
/// twice the last one counts; of a list all do.
class OptionLayers {
 public:
  /// `command` must outlive this.
  OptionLayers(Command& command, const std::vector<std::string>& keys);

  /// `base` with the file, then the variables, then the flags on top. UsageError names the flag or variable,
  /// InputError the file and line.
  TrainOptions resolve(TrainOptions base = {}) const;
  /// True when the flag or variable of this key was given (a file does not count).
  bool given(const std::string& key) const;
  /// True when the flag, the variable or the file sets this key.
  bool set_anywhere(const std::string& key) const;
  const std::string& config() const { return config_; }

 private:
  /// What the flag of this key was given.
  std::string text_of(const std::string& key) const;

  std::vector<std::string> keys_;
  std::map<std::string, std::string> flags_;  ///< nodes of a map stay where they are: the parser writes into them
  std::map<std::string, const Option*> declared_;
  std::map<std::string, bool> switches_;  ///< of flags without a value
  std::string config_;
};

/// A network at a point on data.
struct Problem {
  TrainOptions options;  ///< model, data, loss, scaling, device, precision, tf32, seed, weight_decay ...
  ModelSpec model;
  Dataset data;                 ///< scaled
  DataDescription description;  ///< what was taken from where
  std::vector<double>
      theta;  ///< from --params, else from --checkpoint, else a fresh start by --initialization and --seed
  std::string theta_source;   ///< for people: the path, or "glorot, seed 0"
  bool training = false;      ///< --training
  detail::MemoryMark before;  ///< the data were read
  Index reading_bytes = 0;    ///< of host memory, that reading them took
};

/// --model --params --checkpoint --data --label --header --separator --loss --scaling --precision --device --tf32
/// --deterministic --seed --initialization
/// --weight-decay --config --training. --checkpoint RUN gives what the others leave open: the run's model, parameters,
/// loss, weight decay, scaling, and its training part where there is no --data. Without a run all rows of the data are
/// taken, and scaled as in training.
class ProblemOptions {
 public:
  explicit ProblemOptions(Command& command);
  Problem load() const;
  /// What load() would read, by the flags that name it.
  std::vector<NamedPath> inputs() const;

 private:
  /// `run` is null when its parameters are not those of the model.
  void set_parameters(Problem& problem, const SavedRun* run) const;
  OptionLayers layers_;
  std::string params_, checkpoint_;
  bool training_ = false;
};

/// Options of CSV files that were not given as flags (a run's, say) go where the data is of another kind.
void forget_csv_options(TrainOptions& options, const OptionLayers& layers);

/// To stderr.
void print_data(const DataDescription& description);

/// Calls f(float{}) or f(double{}).
template <class F>
void with_precision(const std::string& precision, const F& f) {
  if (precision == "float64")
    f(double{});
  else
    f(float{});
}

/// Splits "name=value"; UsageError otherwise.
std::pair<std::string, std::string> split_setting(const std::string& text);

}  // namespace hso::cli
