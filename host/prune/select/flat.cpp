// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "prune/select/stage.hpp"

namespace hso::detail {

namespace {

constexpr double kSaliencyThreshold = 1e-3;
constexpr double kClusterWidth = 8;  // n eps |H| is what rounding moves an eigenvalue by, times a modest constant

Index asked_count(const std::vector<double>& sizes, const FlatSet& set, Index removals) {
  const auto n = static_cast<Index>(sizes.size());
  const double top = *std::max_element(sizes.begin(), sizes.end());
  // The sizes ascend in order of flatness only for the absolute order: shares of the algebraic order end at the first
  // value that is not flat.
  const auto leading = [&](const auto& flat) {
    return static_cast<Index>(std::find_if_not(sizes.begin(), sizes.end(), flat) - sizes.begin());
  };
  switch (set.rule) {
    case FlatSet::Rule::automatic:
      if (removals > 0) return std::min(removals, n);
      return leading([=](double size) { return size <= kSaliencyThreshold * top; });
    case FlatSet::Rule::count:
      return std::min(static_cast<Index>(set.value), n);
    case FlatSet::Rule::threshold:
      return leading([&](double size) { return size <= set.value * top; });
    case FlatSet::Rule::mass:
      break;
  }
  const double all = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  double sum = 0;
  return leading([&](double size) { return (sum += size) <= set.value * all; });
}

}  // namespace

FlatChoice choose_flat(Span<const double> values, const FlatSet& set, Index removals, double epsilon) {
  FlatChoice out;
  const auto n = static_cast<Index>(values.size());
  out.order.resize(values.size());
  std::iota(out.order.begin(), out.order.end(), Index{0});
  const auto size_of = [&](Index i) { return std::abs(values[static_cast<std::size_t>(i)]); };
  if (set.order == FlatSet::Order::absolute)
    std::stable_sort(out.order.begin(), out.order.end(), [&](Index a, Index b) { return size_of(a) < size_of(b); });
  if (n == 0) return out;
  std::vector<double> sizes(values.size());
  std::transform(out.order.begin(), out.order.end(), sizes.begin(), size_of);
  const double top = *std::max_element(sizes.begin(), sizes.end());
  const double width = kClusterWidth * static_cast<double>(n) * epsilon * top;
  // In the absolute order l and -l are neighbours that no rotation mixes, but a boundary between them is as arbitrary.
  const auto key = [&](Index k) {
    const auto at = static_cast<std::size_t>(out.order[static_cast<std::size_t>(k)]);
    return set.order == FlatSet::Order::absolute ? std::abs(values[at]) : values[at];
  };
  Index used = out.report.asked = asked_count(sizes, set, removals);
  while (used > 0 && used < n && key(used) - key(used - 1) <= width) ++used;
  out.report.used = used;
  out.report.largest_flat = used > 0 ? sizes[static_cast<std::size_t>(used - 1)] : 0;
  out.report.next = used < n ? sizes[static_cast<std::size_t>(used)] : out.report.largest_flat;
  return out;
}

}  // namespace hso::detail
