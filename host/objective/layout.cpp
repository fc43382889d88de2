// SPDX-License-Identifier: Apache-2.0
#include "objective/layout.hpp"

#include <algorithm>

namespace hso::detail {
namespace {

Index end_of(const ParameterSlice& slice) { return slice.offset + slice.size(); }

template <class T>
std::vector<ParameterSlice> parameters_of(const Graph<T>& graph) {
  std::vector<ParameterSlice> out;
  for (const auto& info : graph.nodes())
    if (info.kind == Graph<T>::Kind::parameter) out.push_back({info.name, info.offset, info.shape});
  std::stable_sort(out.begin(), out.end(),
                   [](const ParameterSlice& a, const ParameterSlice& b) { return a.offset < b.offset; });
  return out;
}

void append_gap(std::vector<ParameterSlice>& out, Index begin, Index end) {
  if (begin < end) out.push_back({"unused", begin, {end - begin}});
}

}  // namespace

template <class T>
std::vector<ParameterSlice> layout_of(const Graph<T>& graph) {
  std::vector<ParameterSlice> out;
  Index covered = 0;
  for (const ParameterSlice& p : parameters_of(graph)) {
    if (p.offset >= covered) {
      append_gap(out, covered, p.offset);
      out.push_back(p);
    } else if (ParameterSlice& last = out.back(); p.offset != last.offset || p.shape != last.shape) {
      last = {last.name + "+" + p.name, last.offset, {std::max(covered, end_of(p)) - last.offset}};
    }
    covered = std::max(covered, end_of(p));
  }
  append_gap(out, covered, graph.parameter_count());
  return out;
}

template std::vector<ParameterSlice> layout_of(const Graph<float>&);
template std::vector<ParameterSlice> layout_of(const Graph<double>&);

}  // namespace hso::detail
