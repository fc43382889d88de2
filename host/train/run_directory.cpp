// SPDX-License-Identifier: Apache-2.0
#include "train/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "hsogpu/error.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNumber = "###";
constexpr std::array<const char*, 17> kFiles = {
    "config.toml",   "env.json",          "model.toml",     "standardizer.json", "data.json",
    "metrics.jsonl", "spectra.jsonl",     "theta.npy",      "model.safetensors", "mask.safetensors",
    "checkpoints",   "comparison.json",   "comparison.svg", "comparison.txt",    "prune.json",
    "removals.csv",  "sparse.safetensors"};

[[noreturn]] void fail(const std::string& path, const std::string& action, int error) {
  const std::string message = fmt::format("run directory {}: cannot {}: {}", path, action, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) throw MemoryError(message);
  throw InputError(message);
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

void require_usable(const std::string& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed) || fs::is_empty(path, failed)) return;
  if (fs::exists(fs::path(path) / "config.toml") && fs::exists(fs::path(path) / "env.json")) return;
  throw InputError(
      fmt::format("run directory {}: is not empty and holds no run, expected a new or empty folder or an "
                  "earlier run",
                  path));
}

void remove_run(const std::string& path) {
  std::error_code failed;
  for (const char* name : kFiles) {
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
    if (!fs::exists(path) && create(path)) return path;
  }
}

}  // namespace

void RunDirectory::check(const std::string& path) {
  const fs::path existing = nearest_existing(path);
  std::error_code failed;
  if (!fs::is_directory(existing, failed)) fail(path, "create the folder", ENOTDIR);
  if (::access(existing.c_str(), W_OK | X_OK) != 0) fail(path, "write there", errno);
  require_usable(path);
}

RunDirectory::RunDirectory(const std::string& path) : path_(without_end_slash(path)) {
  check(path_);
  const std::size_t number = path_.find(kNumber, path_.find_last_of('/') + 1);
  if (number != std::string::npos) {
    path_ = create_numbered(path_, number);
    created_ = true;
  } else if (create(path_)) {
    created_ = true;
  } else {
    remove_run(path_);
  }
}

void RunDirectory::require_other(const std::string& what, const std::string& path, const std::string& other) {
  std::error_code failed;
  if (!path.empty() && fs::equivalent(other, path, failed))
    throw UsageError(fmt::format(
        "{}: is in the run directory that would be overwritten, expected one that this does not overwrite", what));
}

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (created_) fs::remove_all(path_, ignored);
}

void RunDirectory::append_metrics(const TrainRecord& record) { append_line("metrics.jsonl", metrics_line(record)); }

void RunDirectory::append_line(const std::string& name, const std::string& text) {
  const std::string line = text + "\n";
  const FileHandle out(::open(file(name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (out.get() < 0) fail(path_, "open " + name, errno);
  const ssize_t written = ::write(out.get(), line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) fail(path_, "write " + name, written < 0 ? errno : ENOSPC);
}

}  // namespace hso
