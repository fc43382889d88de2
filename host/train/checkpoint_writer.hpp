// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints written by a thread of their own, so that the training goes on meanwhile.
#pragma once

#include <future>
#include <string>

#include "train/checkpoint_files.hpp"
#include "train/run_files.hpp"

namespace hso {

class CheckpointWriter {
 public:
  CheckpointWriter(std::string run, SavedModel model) : run_(std::move(run)), model_(std::move(model)) {}
  /// Waits for what is being written; its failure is not reported then.
  ~CheckpointWriter() = default;

  /// Begins to write, and to remove what is no longer kept, behind the one before. Throws what that one failed with.
  void write(CheckpointContent content) {
    wait();
    // Without a thread to be had it is written by `wait`.
    at_work_ = std::async(std::launch::async | std::launch::deferred, [this, content = std::move(content)] {
      write_checkpoint(run_, content, model_);
      retire_checkpoints(run_, model_.options);
    });
  }
  /// Until everything is on the disk. Throws what it failed with, once.
  void wait() {
    if (at_work_.valid()) at_work_.get();
  }

 private:
  std::string run_;
  SavedModel model_;
  std::future<void> at_work_;  ///< last: ends first
};

}  // namespace hso
