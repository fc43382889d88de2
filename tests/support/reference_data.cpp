// SPDX-License-Identifier: Apache-2.0
#include "support/reference_data.hpp"

#include <cstdlib>

namespace hso::test {

std::filesystem::path reference_data(const char* name) {
  namespace fs = std::filesystem;
  const char* chosen = std::getenv("HSO_REFERENCE_DATA");
  const fs::path root = chosen != nullptr ? fs::path(chosen) : fs::path(HSO_SOURCE_DIR) / ".." / "shared" / "data";
  const fs::path found = root / name;
  return fs::exists(found) ? found : fs::path{};
}

}  // namespace hso::test
