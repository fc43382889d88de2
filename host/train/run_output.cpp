// SPDX-License-Identifier: Apache-2.0
#include "train/run_output.hpp"

#include <filesystem>

#include "hsogpu/data/io.hpp"

namespace hso {

void RunOutput::open(SavedModel model) {
  directory_.emplace(model.options.run_directory, model.options.overwrite || model.options.resume);
  writer_.emplace(directory_->path(), std::move(model));
}

void RunOutput::begin(const RunDescription& description) {
  directory_->clear();
  write_description(*directory_, description);
}

void RunOutput::go_on(const TrainOptions& options, Index last_record, Index step, bool more) {
  remove_unfinished_checkpoints(path());
  remove_later_checkpoints(path(), step);  // damaged ones
  directory_->drop_lines_behind("metrics.jsonl", last_record);
  directory_->drop_lines_behind("spectra.jsonl", step);
  write_text_atomically(directory_->file("config.toml"), to_toml(options));
  if (!more) return;
  for (const char* name : {"theta.npy", "model.safetensors", "mask.safetensors", "result.json"})
    std::filesystem::remove(directory_->file(name));
}

void RunOutput::record(const TrainRecord& record) {
  if (directory_) directory_->append_metrics(record);
}

void RunOutput::spectra(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) directory_->append_line("spectra.jsonl", line);
}

void RunOutput::checkpoint(CheckpointContent content) {
  if (writer_) writer_->write(std::move(content));
}

void RunOutput::end(const SavedPoint& point, const TrainResult& result, Index steps) {
  if (!directory_) return;
  writer_->wait();
  write_parameters(*directory_, point);
  write_result(*directory_, result, steps);
}

}  // namespace hso
