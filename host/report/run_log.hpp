// SPDX-License-Identifier: Apache-2.0
//
// What a run directory tells of its run, for pages and event files: read whole, whatever wrote it.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hsogpu/train/train.hpp"

namespace hso::report {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// One number of metrics.jsonl over the records that have it.
struct Metric {
  struct Sample {
    std::size_t record;
    double value;  ///< NaN: null, which stands for what is not finite or was not measured
  };
  std::string name;
  std::vector<Sample> samples{};
};

/// One line of spectra.jsonl.
struct SpectrumLine {
  double step = 0;
  std::string layer;                          ///< "all": the whole matrix
  std::vector<double> eigenvalues;            ///< ascending, of both ends
  double trace = kNone, trace_error = kNone;  ///< and its standard error
  double frobenius_squared = kNone;
};

struct LossAndAccuracy {
  double loss = kNone, accuracy = kNone;
};
struct PruneStageLog {
  double kept = 0, sparsity = 0;
  double predicted = kNone, actual = kNone;  ///< change of the objective
  LossAndAccuracy train, test;               ///< after the removals
  LossAndAccuracy tuned_train, tuned_test;   ///< and after fine-tuning
};
/// prune.json
struct PruneLog {
  LossAndAccuracy train, test;  ///< before
  std::vector<PruneStageLog> stages;
  std::vector<std::pair<std::string, std::string>> before, after;  ///< sizes of the network
};

struct RunLog {
  std::string path;
  std::string name;                                              ///< the end of the path; see set_names
  TrainOptions options;                                          ///< config.toml
  std::vector<std::pair<std::string, std::string>> config;       ///< every option, also of prune.json, as text
  std::vector<std::pair<std::string, std::string>> environment;  ///< of env.json: versions, device, time
  std::vector<double> step, seconds, gradient_equivalents;       ///< of each record
  std::vector<Metric> metrics;                                   ///< all others, in the order in which they appear
  double rejected = 0;                                           ///< records whose step changed nothing
  std::vector<SpectrumLine> spectra;
  std::optional<PruneLog> prune;
  std::string stop_reason;   ///< empty: not known
  double kept_step = kNone;  ///< whose parameters are kept
  double started = kNone;    ///< seconds since 1970
  std::vector<std::string> notes;

  const Metric* find(const std::string& name) const;
  /// The value of the last record, or that of the kept step; NaN: none.
  double final_value(const std::string& name) const;
};

/// InputError names the file and line that is wrong, or what is missing of a run. The last line of a .jsonl file may be
/// cut off, as a killed process leaves it: a note says so.
RunLog read_run(const std::string& path);

/// The runs in order, each with the shortest end of its path that no other has.
std::vector<RunLog> read_runs(const std::vector<std::string>& paths);

/// Files of a run that are read.
std::vector<std::string> files_of_run(const std::string& path);

}  // namespace hso::report
