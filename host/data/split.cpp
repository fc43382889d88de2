// SPDX-License-Identifier: Apache-2.0
#include "data/split.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/philox.hpp"

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

/// Row i of [order.size()][width] becomes what row order[i] was. Follows the cycles of the permutation, so that one row
/// alone is held twice.
void permute_rows(Span<const Index> order, Index width, std::vector<double>& values) {
  const auto row = [&](std::size_t i) { return values.begin() + static_cast<Index>(i) * width; };
  std::vector<bool> done(order.size(), false);
  std::vector<double> first(static_cast<std::size_t>(width));
  for (std::size_t start = 0; start < order.size(); ++start) {
    if (done[start]) continue;
    std::copy_n(row(start), width, first.begin());
    std::size_t to = start;
    for (auto from = static_cast<std::size_t>(order[to]); from != start; from = static_cast<std::size_t>(order[to])) {
      std::copy_n(row(from), width, row(to));
      done[to] = true;
      to = from;
    }
    std::copy(first.begin(), first.end(), row(to));
    done[to] = true;
  }
}

/// Moves the rows behind the first `rows` to `to`.
void move_tail(Index rows, Index width, std::vector<double>& from, std::vector<double>& to) {
  to.assign(from.begin() + rows * width, from.end());
  from.resize(static_cast<std::size_t>(rows * width));
}

}  // namespace

std::vector<Index> shuffled_indices(Index n, std::uint64_t seed) {
  if (n < 0) throw UsageError(fmt::format("shuffled_indices: found {} elements, expected 0 or more", n));
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  UniformIndex uniform(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[uniform(i)]);
  return order;
}

namespace {

void check_test_size(const Dataset& data, Index test_size) {
  if (test_size < 0 || test_size >= data.size)
    throw UsageError(fmt::format("split: found a test part of {} of the {} samples of {}, expected 0 to {}", test_size,
                                 data.size, data.name, data.size - 1));
}

}  // namespace

DataSplit split_in_place(Dataset data, Index test_size, std::uint64_t seed) {
  check_test_size(data, test_size);
  std::vector<Index> order = shuffled_indices(data.size, seed);
  std::rotate(order.begin(), order.begin() + test_size, order.end());  // the test part behind the training part
  permute_rows(order, data.input_shape.size(), data.inputs);
  permute_rows(order, data.target_shape.size(), data.targets);
  return split_in_order(std::move(data), test_size);
}

DataSplit split_in_order(Dataset data, Index test_size) {
  check_test_size(data, test_size);
  const Index kept = data.size - test_size, width = data.input_shape.size(), target = data.target_shape.size();
  Dataset test{data.name, test_size, data.input_shape, {}, data.target_shape, {}, data.classes, data.source};
  move_tail(kept, width, data.inputs, test.inputs);
  move_tail(kept, target, data.targets, test.targets);
  data.size = kept;
  return {std::move(data), std::move(test)};
}

DataSplit split(const Dataset& data, Index test_size, std::uint64_t seed) {
  return split_in_place(data, test_size, seed);
}

}  // namespace hso
