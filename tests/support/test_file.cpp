// SPDX-License-Identifier: Apache-2.0
#include "support/test_file.hpp"

#include <zlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

namespace hso::test {

std::string test_file(const std::string& name) {
  const std::string plain = std::string(HSO_SOURCE_DIR) + "/tests/" + name;
  const std::string path = std::filesystem::exists(plain) ? plain : plain + ".gz";
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error("cannot open " + plain + " or " + plain + ".gz");
  std::string bytes, block(1 << 16, '\0');
  int got = 0;  // zlib hands over a file that is not compressed as it is
  while ((got = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()))) > 0)
    bytes.append(block, 0, static_cast<std::size_t>(got));
  if (got < 0 || !gzeof(file.get())) throw std::runtime_error("cannot read " + path);
  return bytes;
}

}  // namespace hso::test
