// SPDX-License-Identifier: Apache-2.0
#include "cli/outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "io/file.hpp"
#include "io/shown_text.hpp"

namespace hso::cli {
namespace {

namespace fs = std::filesystem;

fs::path resolved(const std::string& path) {
  std::error_code failed;
  const fs::path out = fs::weakly_canonical(fs::absolute(path, failed), failed);
  return failed ? fs::path(path) : out;
}

/// Also by other names and links.
bool same_file(const std::string& a, const std::string& b) {
  std::error_code failed;
  return resolved(a) == resolved(b) || fs::equivalent(a, b, failed);
}

/// The output itself, or a file that an input folder (a run, a data set) has.
bool overwrites(const std::string& output, const std::string& input) {
  std::error_code failed;
  if (!fs::exists(input, failed)) return false;
  if (!fs::is_directory(input, failed)) return fs::is_regular_file(input, failed) && same_file(output, input);
  return fs::exists(output, failed) && resolved(output).parent_path() == resolved(input);
}

void require_writable(const NamedPath& output) {
  const fs::path folder = fs::path(output.path).parent_path();
  std::error_code failed;
  if (!folder.empty() && !fs::is_directory(folder, failed))
    throw InputError(fmt::format("{} {}: found no folder {}, expected one that exists", output.flag, shown(output.path),
                                 shown(folder.string())));
  try {
    require_writable_file(output.path);
  } catch (const InputError& e) {
    throw InputError(fmt::format("{} {}", output.flag, e.what()));
  } catch (const MemoryError& e) {
    throw MemoryError(fmt::format("{} {}", output.flag, e.what()));
  }
}

}  // namespace

void require_outputs(const std::vector<NamedPath>& outputs, const std::vector<NamedPath>& inputs) {
  for (auto at = outputs.begin(); at != outputs.end(); ++at) {
    if (at->path.empty()) continue;
    for (auto other = outputs.begin(); other != at; ++other)
      if (!other->path.empty() && same_file(at->path, other->path) && fs::path(at->path) != "/dev/null")
        throw UsageError(
            fmt::format("{} and {}: both are {}, expected two files", other->flag, at->flag, shown(at->path)));
    for (const NamedPath& input : inputs)
      if (!input.path.empty() && overwrites(at->path, input.path))
        throw UsageError(fmt::format("{} {}: would overwrite what {} {} reads, expected another file", at->flag,
                                     shown(at->path), input.flag, shown(input.path)));
  }
  for (const NamedPath& output : outputs)
    if (!output.path.empty()) require_writable(output);
}

std::vector<NamedPath> data_paths(const std::string& flag, const std::string& spec) {
  std::vector<NamedPath> out;
  for (std::size_t begin = 0; begin <= spec.size();) {
    const std::size_t end = std::min(spec.find(',', begin), spec.size());
    const std::string part = spec.substr(begin, end - begin);
    out.push_back({flag, part});
    if (const std::size_t colon = part.find(':'); colon != std::string::npos)
      out.push_back({flag, part.substr(0, colon)});
    begin = end + 1;
  }
  return out;
}

}  // namespace hso::cli
