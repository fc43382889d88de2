// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "hsogpu/error.hpp"
#include "io/npy_reader.hpp"
#include "io/suggest.hpp"
#include "io/zip.hpp"

namespace hso {

Array read_npz(const std::string& path, const std::string& name) {
  const ZipFile zip(path);
  std::vector<std::string> names;
  for (const ZipEntry& entry : zip.entries()) {
    if (entry.name == name + ".npy") {
      const std::string bytes = zip.extract(entry);
      MemoryReader reader(path + ":" + name, bytes);
      return read_npy(reader);
    }
    names.push_back(entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name);
  }
  constexpr std::ptrdiff_t kShown = 20;
  const std::string hint = did_you_mean(name, names);
  const bool cut = static_cast<std::ptrdiff_t>(names.size()) > kShown;
  throw InputError(fmt::format(
      "{}: found no array '{}'{}, expected one of {}{} (FILE.npz:INPUTS:LABELS names them)", path, name, hint,
      fmt::join(names.begin(), cut ? names.begin() + kShown : names.end(), ", "), cut ? ", ..." : ""));
}

}  // namespace hso
