// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/prune/structure.hpp"

namespace hso {
namespace {

/// Rows and columns of the matrix [out][the rest].
std::pair<Index, Index> extents(const ParameterInfo& weight) {
  if (weight.shape.rank() < 2)
    throw UsageError(
        fmt::format("{}: shape {}, expected a weight [out][in...]", weight.name, weight.shape.to_string()));
  return {weight.shape[0], weight.shape.size() / weight.shape[0]};
}

/// first, first + stride, ...
std::vector<Index> progression(Index first, Index count, Index stride) {
  std::vector<Index> list(static_cast<std::size_t>(count));
  for (Index k = 0; k < count; ++k) list[static_cast<std::size_t>(k)] = first + k * stride;
  return list;
}

}  // namespace

std::vector<std::vector<Index>> weight_rows(const ParameterInfo& weight) {
  const auto [rows, columns] = extents(weight);
  std::vector<std::vector<Index>> groups;
  for (Index r = 0; r < rows; ++r) groups.push_back(progression(weight.offset + r * columns, columns, 1));
  return groups;
}

std::vector<std::vector<Index>> weight_columns(const ParameterInfo& weight) {
  const auto [rows, columns] = extents(weight);
  std::vector<std::vector<Index>> groups;
  for (Index c = 0; c < columns; ++c) groups.push_back(progression(weight.offset + c, rows, columns));
  return groups;
}

std::vector<std::vector<Index>> weight_runs(const ParameterInfo& weight, Index m) {
  if (m < 2) throw UsageError(fmt::format("{}: runs of {} weights, expected at least 2", weight.name, m));
  const auto [rows, columns] = extents(weight);
  std::vector<std::vector<Index>> groups;
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c + m <= columns; c += m) groups.push_back(progression(weight.offset + r * columns + c, m, 1));
  return groups;
}

}  // namespace hso
