// SPDX-License-Identifier: Apache-2.0
//
// Scratch memory of a context: a stack of blocks that is never given back before the context dies, so a step or a
// solver loop allocates nothing after its first round. Everything runs on one stream, so reuse is stream-ordered.
#pragma once

#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso::detail {

class Arena {
 public:
  explicit Arena(Context& context) : context_(context) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Names the next address that will be given out: part of the key of a recorded launch sequence.
  std::uintptr_t position() const { return (top_.block << 48) + static_cast<std::uintptr_t>(top_.used); }

  /// Bytes held and not in use.
  Index unused_bytes() const;
  /// The most bytes in use at once since the last reset.
  Index peak_used() const { return peak_used_; }
  void reset_peak_used() { peak_used_ = top_.total; }
  /// Bytes that the arena would add for these sequences of takes, each from where it stands now: a plan for scratch.
  Index growth(const std::vector<std::vector<Index>>& sequences) const;

 private:
  friend class Scratch;
  struct Block {
    char* memory;
    Index bytes;
  };
  struct Mark {
    std::size_t block;
    Index used;   ///< of the block
    Index total;  ///< in use, all blocks
  };
  void* take(Index bytes);  ///< 256-byte aligned, never null; blocks never move
  void* take_exactly(Index bytes);
  void rewind(Mark mark) noexcept;
  void rewind_exactly(Mark mark) noexcept;
  void add_block(Index bytes);
  void release_blocks() noexcept;

  Context& context_;
  std::vector<Block> blocks_;
  /// With exact_scratch a "block" is a piece: those that were ever the d-th in use, one of each size, so that how many
  /// are in use names the next addresses; and those in use now.
  std::vector<std::vector<Block>> pieces_;
  std::vector<Block> pieces_in_use_;
  Mark top_{0, 0, 0};
  Index peak_used_ = 0;
};

/// Memory taken through a Scratch goes back to the arena when the Scratch ends. Scratches nest.
class Scratch {
 public:
  explicit Scratch(Context& context) : in_use_(context), arena_(context.arena()), mark_(arena_.top_) {}
  ~Scratch() { arena_.rewind(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* take(Index n) {
    return static_cast<T*>(arena_.take(checked_multiply(n, static_cast<Index>(sizeof(T)))));
  }

 private:
  InUse in_use_;
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace hso::detail
