// SPDX-License-Identifier: Apache-2.0
//
// Diagonal blocks of theta, from the names of its tensors.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "hsogpu/objective/objective.hpp"

namespace hso::detail {

struct ThetaBlock {
  std::string name;
  Index begin = 0, size = 0;
};

/// By size, the largest last, those of one size in the order of theta. `layer`: tensors that follow each other and
/// whose names agree up to the last '.' are one block; otherwise each is its own. Tensors that overlap are always one.
inline std::vector<ThetaBlock> theta_blocks(std::vector<ParameterSlice> layout, bool layer) {
  std::sort(layout.begin(), layout.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::vector<ThetaBlock> out;
  for (const ParameterSlice& slice : layout) {
    const Index size = slice.shape.size();
    if (size == 0) continue;
    const std::string name = layer ? slice.name.substr(0, slice.name.rfind('.')) : slice.name;
    ThetaBlock* last = out.empty() ? nullptr : &out.back();
    const Index end = last != nullptr ? last->begin + last->size : -1;
    const bool overlaps = slice.offset < end, same_layer = layer && slice.offset == end && last->name == name;
    if (!overlaps && !same_layer) {
      out.push_back({name, slice.offset, size});
      continue;
    }
    if (last->name != name) last->name += "+" + name;
    last->size = std::max(end, slice.offset + size) - last->begin;
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
  return out;
}

}  // namespace hso::detail
