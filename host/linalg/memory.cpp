// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "backend/process_memory.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"

namespace hso {

namespace {

/// `bytes_of(n)`, or the largest number when the library cannot name them.
Index bytes_or_most(const std::function<Index(Index)>& bytes_of, Index n) {
  try {
    return bytes_of(n);
  } catch (const Error&) {
    return INT64_MAX;
  }
}

/// The largest m <= n whose need is within `free`.
Index largest_fit(Index free, Index n, const std::function<Index(Index)>& bytes_of) {
  Index low = 0, high = n;
  while (low < high) {
    const Index middle = low + (high - low + 1) / 2;
    if (bytes_or_most(bytes_of, middle) <= free)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

}  // namespace

void require_memory(Context& context, const std::string& what, Index n, const std::function<Index(Index)>& bytes_of) {
  const Index needed = bytes_or_most(bytes_of, n), held = context.arena().unused_bytes();
  if (needed <= held) return;
  const Index free = context.memory().free_bytes + held;
  if (needed <= free) return;
  const std::string bytes = needed == INT64_MAX ? "more than 2^63" : fmt::to_string(needed);
  const Index limit = detail::memory_limit();
  const std::string within = limit > 0 ? fmt::format(" within the limit of {}", limit) : std::string();
  throw MemoryError(fmt::format("{}: n = {} needs {} bytes, {} are free on {}{}; n up to {} would fit", what, n, bytes,
                                free, context.name(), within, largest_fit(free, n, bytes_of)));
}

}  // namespace hso
