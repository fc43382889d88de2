// SPDX-License-Identifier: Apache-2.0
#include "operands.hpp"

#include <algorithm>
#include <climits>

namespace hso::emulated {

namespace {

using Interval = std::pair<const char*, const char*>;  // from, up to and without

bool is_empty(const Operand& o) { return o.column_bytes == 0 || o.columns == 0 || o.batch == 0; }

std::int64_t matrix_span(const Operand& o) { return (o.columns - 1) * o.pitch + o.column_bytes; }

Interval span(const Operand& o) {
  const auto* begin = static_cast<const char*>(o.data);
  return {begin, begin + (o.batch - 1) * o.stride + matrix_span(o)};
}

bool meet(const Interval& a, const Interval& b) { return a.first < b.second && b.first < a.second; }

/// The columns of all matrices in the order of their addresses; a matrix without gaps counts as one.
std::vector<Interval> sorted_columns(const Operand& o) {
  const bool dense = o.pitch == o.column_bytes;
  const std::int64_t columns = dense ? 1 : o.columns, bytes = dense ? matrix_span(o) : o.column_bytes;
  const std::int64_t matrices = o.stride == 0 && !o.written ? 1 : o.batch;
  std::vector<Interval> result;
  result.reserve(static_cast<std::size_t>(matrices * columns));
  for (std::int64_t b = 0; b < matrices; ++b)
    for (std::int64_t j = 0; j < columns; ++j) {
      const char* begin = static_cast<const char*>(o.data) + b * o.stride + j * o.pitch;
      result.emplace_back(begin, begin + bytes);
    }
  std::ranges::sort(result);
  return result;
}

bool overlap(const Operand& a, const Operand& b) {
  if (!meet(span(a), span(b))) return false;
  const std::vector<Interval> others = sorted_columns(b);
  auto next = others.begin();
  const char* reach = nullptr;  // the last end among those that begin before the end of the current column
  for (const Interval& column : sorted_columns(a)) {
    for (; next != others.end() && next->first < column.second; ++next) reach = std::max(reach, next->second);
    if (reach != nullptr && reach > column.first) return true;
  }
  return false;
}

bool overlaps_itself(const Operand& o) {
  if (o.batch == 1 || o.stride >= matrix_span(o)) return false;
  const bool side_by_side = o.stride >= o.column_bytes && (o.batch - 1) * o.stride + o.column_bytes <= o.pitch;
  if (side_by_side) return false;  // each matrix some rows of a taller one
  const std::vector<Interval> columns = sorted_columns(o);
  return std::ranges::adjacent_find(columns, meet) != columns.end();
}

}  // namespace

void require_live(const std::string& call, const std::vector<Operand>& operands) {
  for (const Operand& o : operands) {
    if (is_empty(o)) continue;
    const auto [begin, end] = span(o);
    require_inside(begin, static_cast<std::size_t>(end - begin), Place::device, call + ": " + o.name);
  }
}

void require_operands(const std::string& call, int device, const std::vector<Operand>& operands) {
  require_live(call, operands);
  for (auto o = operands.begin(); o != operands.end(); ++o) {
    if (is_empty(*o)) continue;
    if (find(o->data)->device != device) violation(call + ": " + o->name + " is memory of another device");
    if (o->written && overlaps_itself(*o)) violation(call + ": the matrices of " + o->name + " overlap each other");
    for (auto other = operands.begin(); other != o; ++other)
      if (!is_empty(*other) && (o->written || other->written) && overlap(*o, *other))
        violation(call + ": " + other->name + " and " + o->name + " overlap");
  }
}

std::int64_t operand_bytes(const std::vector<Operand>& operands) {
  std::int64_t bytes = 0;
  for (const Operand& o : operands) bytes += o.column_bytes * o.columns * (o.stride == 0 && o.batch > 0 ? 1 : o.batch);
  return bytes;
}

int narrow(std::int64_t size, const std::string& call) {
  if (size > INT_MAX) violation(call + ": a size of " + std::to_string(size) + " cannot be emulated");
  return static_cast<int>(size);
}

}  // namespace hso::emulated
