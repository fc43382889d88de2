// SPDX-License-Identifier: Apache-2.0
#include "train/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/shown_text.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNumber = "###";
constexpr std::array<const char*, 18> kFiles = {
    "config.toml",   "env.json",           "model.toml",     "standardizer.json", "data.json",
    "metrics.jsonl", "spectra.jsonl",      "theta.npy",      "model.safetensors", "mask.safetensors",
    "checkpoints",   "comparison.json",    "comparison.svg", "comparison.txt",    "prune.json",
    "removals.csv",  "sparse.safetensors", "result.json"};

[[noreturn]] void fail(const std::string& path, const std::string& action, int error) {
  fail_to(action, "run directory " + path, error);
}

std::string without_end_slash(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  return end == std::string::npos ? path : path.substr(0, end + 1);
}

/// The folder itself, or where it would be made: the nearest part of the path that exists.
fs::path nearest_existing(const fs::path& path) {
  std::error_code failed;
  for (fs::path at = fs::absolute(path);; at = at.parent_path())
    if (fs::symlink_status(at, failed).type() != fs::file_type::not_found || at == at.parent_path()) return at;
}

/// Of this program: a file of a run, what was on the way to becoming one, or the lock.
bool is_of_run(const std::string& name) {
  return name == RunLock::kName || std::any_of(kFiles.begin(), kFiles.end(), [&](const char* file) {
           return name == file || name.starts_with(std::string(file) + ".tmp-");
         });
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  std::error_code failed;
  fs::directory_iterator at(path, failed);
  for (; !failed && at != fs::directory_iterator(); at.increment(failed))
    names.push_back(at->path().filename().string());
  if (failed) fail(path, "read the folder", failed.value());
  return names;
}

void require_usable(const std::string& path, bool overwrite) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return;
  if (is_there(path + "/config.toml") && is_there(path + "/env.json")) {
    if (overwrite) return;
    throw InputError(fmt::format("run directory {}: holds a run, expected another folder, or --overwrite", path));
  }
  // The lock shows that it was this program that began to fill the folder.
  const bool begun = is_there(path + "/" + RunLock::kName);
  for (const std::string& name : names_in(path))
    if (!begun || !is_of_run(name))
      throw InputError(
          fmt::format("run directory {}: is not empty and holds no run (found '{}'), expected a new or empty folder",
                      path, shown(name)));
}

void remove_run(const std::string& path) {
  std::error_code failed;
  for (const std::string& name : names_in(path)) {
    if (!is_of_run(name) || name == RunLock::kName) continue;
    fs::remove_all(fs::path(path) / name, failed);
    if (failed) fail(path, "remove the earlier run", failed.value());
  }
}

/// True when the folder is new.
bool create(const std::string& path) {
  std::error_code failed;
  const fs::path parent = fs::path(path).parent_path();
  if (!parent.empty()) fs::create_directories(parent, failed);
  if (failed) fail(path, "create the folder", failed.value());
  const bool created = fs::create_directory(path, failed);
  if (failed) fail(path, "create the folder", failed.value());
  return created;
}

/// mkdir decides who gets a number, so two runs that start together do not share one.
std::string create_numbered(const std::string& pattern, std::size_t at) {
  for (int number = 1;; ++number) {
    std::string path = pattern;
    path.replace(at, std::strlen(kNumber), fmt::format("{:03}", number));
    if (!is_there(path) && create(path)) return path;
  }
}

}  // namespace

void RunDirectory::check(const std::string& path, bool overwrite) {
  const fs::path existing = nearest_existing(path);
  std::error_code failed;
  if (!fs::is_directory(existing, failed)) fail(path, "create the folder", ENOTDIR);
  if (::access(existing.c_str(), W_OK | X_OK) != 0) fail(path, "write there", errno);
  RunLock::require_free(path);
  require_usable(path, overwrite);
}

RunDirectory::RunDirectory(const std::string& path, bool overwrite)
    : path_(without_end_slash(path)), existing_(nearest_existing(path_).string()) {
  check(path_, overwrite);
  const std::size_t number = path_.find(kNumber, path_.find_last_of('/') + 1);
  if (number != std::string::npos) {
    path_ = create_numbered(path_, number);
    created_ = true;
  } else {
    created_ = create(path_);
  }
  lock_.emplace(path_);
  require_usable(path_, overwrite);  // another run may have come and gone since
}

void RunDirectory::clear() {
  if (!created_) remove_run(path_);
}

void RunDirectory::require_other(const std::string& what, const std::string& path, const std::string& read) {
  std::error_code failed;
  if (path.empty() || !fs::is_directory(path, failed)) return;
  for (fs::path at = fs::weakly_canonical(read, failed); !failed && !at.empty(); at = at.parent_path()) {
    if (fs::equivalent(at, path, failed))
      throw UsageError(
          fmt::format("{}: is in the run directory that would be overwritten, expected one that this does "
                      "not overwrite",
                      what));
    failed.clear();
    if (at == at.parent_path()) return;
  }
}

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (!created_) return;
  fs::remove_all(path_, ignored);  // the lock's file included; it is released after that
  for (fs::path at = fs::absolute(path_).parent_path(); at != existing_ && fs::remove(at, ignored);)
    at = at.parent_path();
}

void RunDirectory::append_metrics(const TrainRecord& record) { append_line("metrics.jsonl", metrics_line(record)); }

void RunDirectory::append_line(const std::string& name, const std::string& text) {
  const std::string line = text + "\n";
  const FileHandle out(::open(file(name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666));
  if (out.get() < 0) fail(path_, "open " + name, errno);
  const ssize_t written = ::write(out.get(), line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) fail(path_, "write " + name, written < 0 ? errno : ENOSPC);
}

void RunDirectory::drop_lines_behind(const std::string& name, Index step) {
  const std::string path = file(name);
  if (!is_there(path)) return;
  const std::string before = read_text(path);
  std::istringstream lines(before);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.contains("step") && json["step"].is_number_integer() &&
        json["step"].get<Index>() <= step)
      kept += line + "\n";
  }
  if (kept != before) write_text_atomically(path, kept);
}

}  // namespace hso
