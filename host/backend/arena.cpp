// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/detail/arena.hpp"

#include <algorithm>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

namespace {

constexpr Index kAlignment = 256;
constexpr Index kSmallestBlock = Index{1} << 20;

Index rounded(Index bytes) {
  const Index least = std::max<Index>(bytes, 1);
  return checked_multiply((least - 1) / kAlignment + 1, kAlignment);
}

/// Every byte 0xFF: NaN as a float, a double, and a wild number as an index.
void poison(Context& context, char* from, Index bytes) {
  if (bytes <= 0 || !context.options().poison) return;
  context.ops<float>().fill(bytes / 4, bits_as<float>(0xFFFFFFFFu), reinterpret_cast<float*>(from));
}

}  // namespace

Arena::~Arena() { release_blocks(); }

void Arena::release_blocks() noexcept {
  for (const Block& block : blocks_) context_.release(block.memory, block.bytes);
  blocks_.clear();
}

Index Arena::unused_bytes() const {
  Index bytes = 0;
  for (std::size_t b = top_.block; b < blocks_.size(); ++b)
    bytes += blocks_[b].bytes - (b == top_.block ? top_.used : 0);
  return bytes;
}

void Arena::add_block(Index bytes) {
  blocks_.push_back({static_cast<char*>(context_.allocate(bytes)), bytes});
  poison(context_, blocks_.back().memory, bytes);
}

void* Arena::take(Index bytes) {
  const Index size = rounded(bytes);
  while (top_.block < blocks_.size() && size > blocks_[top_.block].bytes - top_.used) top_ = {top_.block + 1, 0};
  if (top_.block == blocks_.size())
    add_block(std::max({size, kSmallestBlock, blocks_.empty() ? 0 : blocks_.back().bytes}));
  char* memory = blocks_[top_.block].memory + top_.used;
  top_.used += size;
  return memory;
}

void Arena::rewind(Mark mark) noexcept {
  for (std::size_t b = mark.block; b <= top_.block && b < blocks_.size(); ++b) {
    const Index begin = b == mark.block ? mark.used : 0;
    const Index end = b == top_.block ? top_.used : blocks_[b].bytes;
    poison(context_, blocks_[b].memory + begin, end - begin);
  }
  top_ = mark;
}

}  // namespace hso::detail
