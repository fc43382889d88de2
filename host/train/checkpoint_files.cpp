// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/version.hpp"
#include "io/file.hpp"
#include "io/file_calls.hpp"
#include "io/json_text.hpp"
#include "train/run_files.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kUnfinished = ".tmp";

void make_folder(const std::string& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return;
  if (detail::file_calls().mkdir(path.c_str(), 0777) != 0) fail_to("create the folder", path, errno);
}

/// File systems that cannot sync a folder, or a file that was opened for reading, say EINVAL.
void sync(const std::string& path) {
  const FileHandle handle(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (handle.get() < 0) fail_to("open it", path, errno);
  int done = 0;
  do done = detail::file_calls().fsync(handle.get());
  while (done != 0 && errno == EINTR);
  if (done != 0 && errno != EINVAL) fail_to("flush it to the disk", path, errno);
}

void rename_folder(const std::string& from, const std::string& to) {
  if (detail::file_calls().rename(from.c_str(), to.c_str()) != 0) fail_to("rename it to " + to, from, errno);
}

void remove_folder(const std::string& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  if (failed) fail_to("remove it", path, failed.value());
}

/// Under another name first: a folder step_N is whole or not there.
void retire(const std::string& folder) {
  remove_folder(folder + kUnfinished);
  rename_folder(folder, folder + kUnfinished);
  remove_folder(folder + kUnfinished);
}

std::string to_json(const CheckpointInfo& info) {
  Json json{{"format", info.format},
            {"version", info.version},
            {"step", info.step},
            {"score", std::isfinite(info.score) ? Json(info.score) : Json(nullptr)}};
  for (const auto& [name, sum] : info.files)
    json["files"][name] = {{"bytes", sum.bytes}, {"crc32", fmt::format("{:08x}", sum.crc32)}};
  return json.dump(2) + "\n";
}

bool is_whole(const std::string& folder) {
  try {
    verify_checkpoint(folder, read_checkpoint_info(folder));
    return true;
  } catch (const InputError&) {
    return false;
  }
}

void fill(const std::string& folder, const CheckpointContent& content, const SavedPoint& point) {
  write_tensors(folder, point);
  write_raw_tensors(folder + "/state.safetensors", content.state, content.metadata);
  CheckpointInfo info{kCheckpointFormat, HSOGPU_VERSION, content.step, content.score};
  for (const auto& entry : fs::directory_iterator(folder))
    info.files[entry.path().filename().string()] = sum_of_file(entry.path().string());
  write_text_atomically(folder + "/" + kCheckpointMarker, to_json(info));
}

}  // namespace

Index checkpoint_step(const std::string& name) {
  const bool digits =
      name.size() > 5 && std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return name.starts_with("step_") && digits && name.size() < 24 ? std::stoll(name.substr(5)) : -1;
}

std::string checkpoint_folder(const std::string& run, Index step) {
  return fmt::format("{}/checkpoints/step_{}", run, step);
}

std::vector<Index> checkpoint_steps(const std::string& run) {
  std::vector<Index> steps;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(fs::path(run) / "checkpoints", failed))
    if (const Index step = checkpoint_step(entry.path().filename().string()); step >= 0) steps.push_back(step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

CheckpointInfo read_checkpoint_info(const std::string& folder) {
  const std::string path = folder + "/" + kCheckpointMarker;
  if (!is_there(path)) throw InputError(fmt::format("{}: found no {}", folder, kCheckpointMarker));
  const auto json = parse_json_text(read_text(path), path);
  CheckpointInfo info;
  try {
    info.format = json.at("format").get<int>();
    info.version = json.at("version").get<std::string>();
    info.step = json.at("step").get<Index>();
    const auto& score = json.at("score");
    info.score = score.is_null() ? std::numeric_limits<double>::quiet_NaN() : score.get<double>();
    for (const auto& [name, sum] : json.at("files").items())
      info.files[name] = {sum.at("bytes").get<std::uint64_t>(),
                          std::stoull(sum.at("crc32").get<std::string>(), nullptr, 16)};
  } catch (const std::exception& e) {
    throw InputError(
        fmt::format("{}: {}, expected what a training writes: format, version, step, score and files", path, e.what()));
  }
  return info;
}

void verify_checkpoint(const std::string& folder, const CheckpointInfo& info) {
  for (const char* name : {"model.safetensors", "state.safetensors"})
    if (!info.files.contains(name))
      throw InputError(fmt::format("{}/{}: {} is not among its files", folder, kCheckpointMarker, name));
  for (const auto& [name, expected] : info.files) {
    const std::string path = folder + "/" + name;
    const FileSum found = sum_of_file(path);
    if (!(found == expected))
      throw InputError(fmt::format("{}: damaged: found {} bytes with CRC-32 {:08x}, expected {} with {:08x}", path,
                                   found.bytes, found.crc32, expected.bytes, expected.crc32));
  }
}

void remove_unfinished_checkpoints(const std::string& run) {
  std::vector<std::string> left;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(fs::path(run) / "checkpoints", failed)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(kUnfinished) && checkpoint_step(name.substr(0, name.size() - std::strlen(kUnfinished))) >= 0)
      left.push_back(entry.path().string());
  }
  for (const std::string& folder : left) remove_folder(folder);
}

void remove_later_checkpoints(const std::string& run, Index step) {
  for (const Index later : checkpoint_steps(run)) {
    const std::string folder = checkpoint_folder(run, later);
    if (later <= step || !is_there(folder + "/" + kCheckpointMarker)) continue;
    if (is_whole(folder))
      throw InputError(
          fmt::format("{}: another process has gone on with the run since step {} was read", folder, step));
    retire(folder);
  }
}

void write_checkpoint(const std::string& run, const CheckpointContent& content, const SavedModel& model) {
  const std::string all = run + "/checkpoints", target = checkpoint_folder(run, content.step);
  const std::string temporary = target + kUnfinished;
  if (is_whole(target)) return;
  // What the checkpoint comes after: a record that is lost with the power would be a gap.
  if (const std::string metrics = run + "/metrics.jsonl"; is_there(metrics)) sync(metrics);
  make_folder(all);
  remove_folder(temporary);
  try {
    make_folder(temporary);
    fill(temporary, content, {content.theta, content.statistics, model});
    sync(temporary);
    if (is_there(target)) remove_folder(target);
    rename_folder(temporary, target);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  sync(all);
}

void retire_checkpoints(const std::string& run, const TrainOptions& options) {
  if (options.keep_last == 0) return;
  std::vector<CheckpointInfo> infos;
  for (const Index step : checkpoint_steps(run)) try {
      infos.push_back(read_checkpoint_info(checkpoint_folder(run, step)));
    } catch (const InputError&) {  // not whole, or of an older program
    }
  const CheckpointInfo* best = nullptr;
  for (const CheckpointInfo& info : infos)
    if (!std::isnan(info.score) && (best == nullptr || info.score < best->score)) best = &info;
  const auto keep = static_cast<std::size_t>(options.keep_last);
  for (std::size_t i = 0; i + keep < infos.size(); ++i) {
    const bool kept =
        (options.keep_every > 0 && infos[i].step % options.keep_every == 0) || (options.keep_best && &infos[i] == best);
    if (!kept) retire(checkpoint_folder(run, infos[i].step));
  }
}

}  // namespace hso
