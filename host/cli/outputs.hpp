// SPDX-License-Identifier: Apache-2.0
//
// Files that a command will write, looked at before it begins: so that nothing is computed in vain, and nothing that is
// read is overwritten.
#pragma once

#include <string>
#include <vector>

namespace hso::cli {

/// A file or folder by the flag that names it: "--out" and its value. "" where the flag was not given.
struct NamedPath {
  std::string flag, path;
};

/// InputError names the flag of an output that cannot be written; UsageError two outputs of one file, and an output
/// that is an input, a file of a run that is an input, or an input's data.
void require_outputs(const std::vector<NamedPath>& outputs, const std::vector<NamedPath>& inputs);

/// The files that a value of --data may mean: its parts between commas, each also without what follows a colon.
std::vector<NamedPath> data_paths(const std::string& flag, const std::string& spec);

}  // namespace hso::cli
