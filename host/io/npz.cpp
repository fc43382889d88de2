// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "io/npy_reader.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"

namespace hso {

Array read_npz(const ZipFile& archive, const std::string& name) {
  constexpr std::size_t kShown = 20;
  std::vector<std::string> names;
  for (const ZipEntry& entry : archive.entries()) {
    if (entry.name == name + ".npy") {
      const std::string bytes = archive.extract(entry);
      MemoryReader reader(archive.path() + ":" + name, bytes);
      return read_npy(reader);
    }
    names.push_back(entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name);
  }
  throw InputError(fmt::format("{}: found no array '{}'{}, expected one of {} (FILE.npz:INPUTS:LABELS names them)",
                               archive.path(), shown(name), did_you_mean(name, names), listed(names, kShown)));
}

Array read_npz(const std::string& path, const std::string& name) { return read_npz(ZipFile(path), name); }

}  // namespace hso
