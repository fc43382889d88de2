// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/core/types.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hsogpu/core/error.hpp"

namespace hso {

Index checked_multiply(Index a, Index b) {
  Index product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product))
    throw InputError(fmt::format("size {} x {} is negative or does not fit 64 bits", a, b));
  return product;
}

Shape::Shape(std::initializer_list<Index> extents) : Shape(Span<const Index>(extents.begin(), extents.size())) {}

Shape::Shape(Span<const Index> extents) {
  if (extents.size() > kMaxRank)
    throw InputError(fmt::format("shape: rank {} is above the largest supported, {}", extents.size(), kMaxRank));
  for (Index e : extents) {
    if (e < 0) throw InputError(fmt::format("shape: negative extent {}", e));
    extents_[static_cast<std::size_t>(rank_++)] = e;
  }
}

Index Shape::size() const {
  Index product = 1;
  for (int a = 0; a < rank_; ++a) product = checked_multiply(product, (*this)[a]);
  return product;
}

Shape Shape::with_batch(Index n) const {
  if (rank_ == kMaxRank) throw InputError(fmt::format("shape {}: no room for a batch extent", to_string()));
  Shape out;
  out.rank_ = rank_ + 1;
  out.extents_[0] = n;
  for (int a = 0; a < rank_; ++a) out[a + 1] = (*this)[a];
  return out;
}

std::string Shape::to_string() const {
  return fmt::format("[{}]", fmt::join(extents_.begin(), extents_.begin() + rank_, ", "));
}

}  // namespace hso
