// SPDX-License-Identifier: Apache-2.0
#include "io/suggest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace hso {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);  // of a's first i - 1, i, i + 1
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    next[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      next[j + 1] = std::min({row[j] + (a[i] == b[j] ? 0 : 1), next[j] + 1, row[j + 1] + 1});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
        next[j + 1] = std::min(next[j + 1], before[j - 1] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return row.back();
}

namespace {

/// How many changes still are a misspelling: of fewer than four letters one, or almost any word would be near.
std::size_t allowed_distance(std::string_view candidate) {
  const std::size_t letters = candidate.size() - std::min(candidate.find_first_not_of('-'), candidate.size());
  return letters < 4 ? 1 : std::max<std::size_t>(2, letters / 3);
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance > allowed_distance(candidate)) continue;
    if (best != nullptr && distance >= best_distance) continue;
    best = &candidate;
    best_distance = distance;
  }
  return best == nullptr ? "" : fmt::format(" (did you mean '{}'?)", *best);
}

}  // namespace hso
