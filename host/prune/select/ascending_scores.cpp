// SPDX-License-Identifier: Apache-2.0
#include "prune/select/ascending_scores.hpp"

#include <algorithm>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

namespace {

constexpr Index kShortest = 1024;  // quotas that refuse many shall not make many small copies

Index count_flags(const std::vector<std::uint8_t>& flags) {
  return static_cast<Index>(flags.size()) - std::count(flags.begin(), flags.end(), std::uint8_t{0});
}

}  // namespace

AscendingScores::AscendingScores(Context& context, const Buffer<double>& scores,
                                 const std::vector<std::uint8_t>& removable, Index wanted)
    : context_(context), scores_(scores), at_(context, count_flags(removable)), order_(context, at_.size()) {
  auto& ops = context.ops<double>();
  const Index count = at_.size(), piece = std::min(count, std::max(kShortest, wanted));
  piece_scores_ = Buffer<double>(context, piece);
  piece_parameters_ = Buffer<Index>(context, piece);
  const Buffer<std::uint8_t> flags(context, removable);
  Buffer<Index> number(context, 1);
  Buffer<double> keys(context, count);
  ops.select(flags.size(), flags.data(), at_.data(), number.data());
  ops.for_each(1, count, GatherEntries<double>{scores.data(), 0, at_.data(), keys.data(), 0});
  ops.sort(count, keys.data(), order_.data());
}

void AscendingScores::read_piece() {
  const Index count = std::min(piece_scores_.size(), order_.size() - first_);
  context_.ops<double>().for_each(1, count,
                                  OrderedEntries<double>{scores_.data(), at_.data(), order_.data() + first_,
                                                         piece_scores_.data(), piece_parameters_.data()});
  std::vector<double> scores(static_cast<std::size_t>(count));
  std::vector<Index> parameters(scores.size());
  context_.to_host(piece_scores_.data(), scores.data(), count * static_cast<Index>(sizeof(double)));
  context_.to_host(piece_parameters_.data(), parameters.data(), count * static_cast<Index>(sizeof(Index)));
  piece_.resize(scores.size());
  for (std::size_t i = 0; i < piece_.size(); ++i) piece_[i] = {parameters[i], scores[i]};
  first_ += count;
  given_ = 0;
}

std::optional<Removal> AscendingScores::next() {
  if (given_ == piece_.size() && first_ < order_.size()) read_piece();
  if (given_ == piece_.size()) return std::nullopt;
  return piece_[given_++];
}

}  // namespace hso::detail
