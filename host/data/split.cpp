// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>
#include <numeric>

#include "hsogpu/data.hpp"
#include "hsogpu/detail/philox.hpp"
#include "hsogpu/error.hpp"

namespace hso {

namespace {

// Apart from the streams that tensors are filled from, which are numbered from 0.
constexpr std::uint64_t kShuffleStream = 0x73687566666c6500;  // "shuffle"

/// Whole numbers in [0, bound), each exactly as likely: words of the incomplete last multiple of bound are drawn again.
class UniformIndex {
 public:
  explicit UniformIndex(std::uint64_t seed) : seed_(seed) {}

  std::uint64_t operator()(std::uint64_t bound) {
    constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t limit = kLargest - kLargest % bound;
    std::uint64_t word = next();
    while (word >= limit) word = next();
    return word % bound;
  }

 private:
  std::uint64_t next() {
    const detail::Philox4 block = detail::philox(seed_, kShuffleStream, counter_++);
    return static_cast<std::uint64_t>(block.v[1]) << 32 | block.v[0];
  }

  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

}  // namespace

std::vector<Index> shuffled_indices(Index n, std::uint64_t seed) {
  if (n < 0) throw UsageError(fmt::format("shuffled_indices: found {} elements, expected 0 or more", n));
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  UniformIndex uniform(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[uniform(i)]);
  return order;
}

DataSplit split(const Dataset& data, Index test_size, std::uint64_t seed) {
  if (test_size < 0 || test_size >= data.size)
    throw UsageError(fmt::format("split: found a test part of {} of the {} samples of {}, expected 0 to {}", test_size,
                                 data.size, data.name, data.size - 1));
  const std::vector<Index> order = shuffled_indices(data.size, seed);
  const auto middle = static_cast<std::size_t>(test_size);
  const Span<const Index> all(order);
  return {data.subset(all.subspan(middle)), data.subset(all.first(middle))};
}

}  // namespace hso
