// SPDX-License-Identifier: Apache-2.0
//
// Bytes of small files that tests write.
#pragma once

#include <initializer_list>
#include <string>

namespace hso::test {

inline std::string bytes_of(std::initializer_list<int> list) {
  std::string out;
  for (int b : list) out += static_cast<char>(b);
  return out;
}

}  // namespace hso::test
