// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/mask.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"

namespace hso {

Index Mask::size() const { return static_cast<Index>(kept.size()); }

Index Mask::count() const {
  return static_cast<Index>(std::count_if(kept.begin(), kept.end(), [](std::uint8_t k) { return k != 0; }));
}

double Mask::sparsity() const {
  return kept.empty() ? 0 : static_cast<double>(size() - count()) / static_cast<double>(size());
}

Mask Mask::all(Index n) { return {std::vector<std::uint8_t>(static_cast<std::size_t>(n), 1)}; }

Mask& Mask::operator&=(const Mask& other) {
  if (size() != other.size())
    throw InputError(
        fmt::format("Mask: one of {} parameters and one of {}, expected the same network", size(), other.size()));
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = kept[i] != 0 && other.kept[i] != 0 ? 1 : 0;
  return *this;
}

}  // namespace hso
