// SPDX-License-Identifier: Apache-2.0
//
// Trainings on the small problem that are stopped and go on, and what two run directories must have in common.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "hsogpu/data/io.hpp"
#include "hsogpu/train/train.hpp"
#include "io/file_calls.hpp"
#include "support/json_lines.hpp"
#include "support/tiny_data.hpp"

namespace hso::test {

/// While it lives, files are not flushed to the disk: it takes the time of the tests, and what a killed process has
/// written is there without it.
class WithoutFlushes {
 public:
  WithoutFlushes() {
    detail::file_calls().fsync = [](int) { return 0; };
  }
  ~WithoutFlushes() { detail::file_calls() = before_; }

 private:
  detail::FileCalls before_ = detail::file_calls();
};

/// Stops it after so many steps, as a signal would.
inline TrainResult train_until(const TrainOptions& options, Index steps, const TrainStart& start = {}) {
  Index taken = 0;
  TrainHooks hooks;
  hooks.interrupted = [&] { return taken++ >= steps; };
  return train(options, hooks, start);
}

inline TrainOptions in_folder(TrainOptions options, const std::string& folder) {
  options.run_directory = folder;
  return options;
}
inline TrainOptions resumed(TrainOptions options) {
  options.resume = true;
  return options;
}

/// The lines of metrics.jsonl without what a clock has measured.
inline std::vector<nlohmann::json> metrics_of(const std::string& run) {
  std::vector<nlohmann::json> lines = read_lines(run + "/metrics.jsonl");
  for (auto& line : lines) line.erase("seconds"), line.erase("processor_seconds");
  return lines;
}

/// Parameters and records, bit for bit.
inline void expect_same_run(const std::string& a, const std::string& b) {
  EXPECT_EQ(read_text(a + "/theta.npy"), read_text(b + "/theta.npy"));
  EXPECT_EQ(metrics_of(a), metrics_of(b));
}

}  // namespace hso::test
