// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/detail/arena.hpp"

#include <algorithm>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

namespace {

constexpr Index kAlignment = 256;
constexpr Index kSmallestBlock = Index{1} << 20;
constexpr Index kLargestSpare = Index{8} << 20;  ///< blocks grow with use up to here; beyond, they are as asked

Index rounded(Index bytes) {
  const Index least = std::max<Index>(bytes, 1);
  return checked_multiply((least - 1) / kAlignment + 1, kAlignment);
}

Index block_for(Index size, Index last) { return std::max({size, kSmallestBlock, std::min(last, kLargestSpare)}); }

/// Every byte 0xFF: NaN as a float, a double, and a wild number as an index.
void poison(Context& context, char* from, Index bytes) {
  if (bytes <= 0 || !context.options().poison) return;
  context.ops<float>().fill(bytes / 4, bits_as<float>(0xFFFFFFFFu), reinterpret_cast<float*>(from));
}

}  // namespace

Arena::~Arena() { release_blocks(); }

void Arena::release_blocks() noexcept {
  for (const Block& block : blocks_) context_.release(block.memory, block.bytes);
  for (const auto& sizes : pieces_)
    for (const Block& piece : sizes) context_.release(piece.memory, piece.bytes);
  blocks_.clear();
  pieces_.clear();
}

Index Arena::unused_bytes() const {
  Index bytes = 0;
  for (const auto& sizes : pieces_)
    for (const Block& piece : sizes) bytes += piece.bytes;
  if (!pieces_.empty()) return bytes - top_.total;
  for (std::size_t b = top_.block; b < blocks_.size(); ++b)
    bytes += blocks_[b].bytes - (b == top_.block ? top_.used : 0);
  return bytes;
}

void Arena::add_block(Index bytes) {
  blocks_.push_back({static_cast<char*>(context_.allocate(bytes)), bytes});
  poison(context_, blocks_.back().memory, bytes);
}

void* Arena::take_exactly(Index bytes) {
  const Index size = std::max<Index>(bytes, 1);
  if (top_.block == pieces_.size()) pieces_.emplace_back();
  auto& sizes = pieces_[top_.block];
  auto piece = std::ranges::find(sizes, size, &Block::bytes);
  if (piece == sizes.end()) {
    sizes.push_back({static_cast<char*>(context_.allocate(size)), size});
    piece = sizes.end() - 1;
    poison(context_, piece->memory, size);
  }
  pieces_in_use_.push_back(*piece);
  top_ = {top_.block + 1, 0, top_.total + size};
  peak_used_ = std::max(peak_used_, top_.total);
  return piece->memory;
}

void* Arena::take(Index bytes) {
  if (context_.options().exact_scratch) return take_exactly(bytes);
  const Index size = rounded(bytes);
  while (top_.block < blocks_.size() && size > blocks_[top_.block].bytes - top_.used)
    top_ = {top_.block + 1, 0, top_.total};
  if (top_.block == blocks_.size()) add_block(block_for(size, blocks_.empty() ? 0 : blocks_.back().bytes));
  char* memory = blocks_[top_.block].memory + top_.used;
  top_.used += size;
  top_.total += size;
  peak_used_ = std::max(peak_used_, top_.total);
  return memory;
}

Index Arena::growth(const std::vector<std::vector<Index>>& sequences) const {
  std::vector<Index> sizes;
  for (const Block& block : blocks_) sizes.push_back(block.bytes);
  Index added = 0;
  if (context_.options().exact_scratch) {  // as if nothing were there yet
    for (const auto& takes : sequences)
      for (Index bytes : takes) added += bytes;
    return added;
  }
  for (const auto& takes : sequences) {
    std::size_t block = top_.block;
    Index used = top_.used;
    for (Index bytes : takes) {
      const Index size = rounded(bytes);
      for (; block < sizes.size() && size > sizes[block] - used; used = 0) ++block;
      if (block == sizes.size()) {
        sizes.push_back(block_for(size, sizes.empty() ? 0 : sizes.back()));
        added += sizes.back();
      }
      used += size;
    }
  }
  return added;
}

void Arena::rewind_exactly(Mark mark) noexcept {
  for (; pieces_in_use_.size() > mark.block; pieces_in_use_.pop_back())
    poison(context_, pieces_in_use_.back().memory, pieces_in_use_.back().bytes);
  top_ = mark;
}

void Arena::rewind(Mark mark) noexcept {
  if (context_.options().exact_scratch) return rewind_exactly(mark);
  for (std::size_t b = mark.block; b <= top_.block && b < blocks_.size(); ++b) {
    const Index begin = b == mark.block ? mark.used : 0;
    const Index end = b == top_.block ? top_.used : blocks_[b].bytes;
    poison(context_, blocks_[b].memory + begin, end - begin);
  }
  top_ = mark;
}

}  // namespace hso::detail
