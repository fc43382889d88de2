// SPDX-License-Identifier: Apache-2.0
#include "prune/compact/constant_folding.hpp"

#include <algorithm>
#include <limits>

namespace hso {
namespace {

constexpr Constant kVaries = std::numeric_limits<double>::quiet_NaN();

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// The constant that entries e with e / run % count = column share, for each column.
std::vector<Constant> shared(const std::vector<Constant>& value, Index count, Index run) {
  std::vector<Constant> columns(at(count));
  for (Index c = 0; c < count; ++c) columns[at(c)] = value[at(c * run)];
  for (Index e = 0; e < static_cast<Index>(value.size()); ++e)
    if (Constant& c = columns[at(e / run % count)]; c != value[at(e)]) c = kVaries;
  return columns;
}

std::vector<Constant> channelwise(const LayerSpec& l, const std::vector<Constant>& x, const Shape& in,
                                  const Shape& out) {
  const std::vector<Constant> channels = shared(x, in[0], channel_size(in));
  const LayerType& type = layer_type_of(l);
  std::vector<Constant> y(at(out.size()));
  for (std::size_t e = 0; e < y.size(); ++e) y[e] = type.constant(l, channels[e / at(channel_size(out))]);
  return y;
}

/// b + sum c w over the columns, where every kept weight reads a constant; with padding, zeros only.
Constant row_constant(const WeightLayer& w, Index row, const std::vector<Constant>& columns, Span<const double> theta,
                      const Mask& mask) {
  double sum = w.bias < 0 ? 0 : theta[at(w.bias + row)];
  Index first = w.weight.offset + row * w.row_size();
  for (Index k = 0; k < w.row_columns(); ++k, first += w.taps) {
    const Constant c = columns[at(w.first_column(row) + k)];
    if (c == 0 || !any_kept(mask, first, w.taps)) continue;
    if (!is_constant(c) || w.pads) return kVaries;
    for (Index t = 0; t < w.taps; ++t) sum += c * theta[at(first + t)];
  }
  return sum;
}

std::vector<Constant> row_constants(const WeightLayer& w, const std::vector<Constant>& columns,
                                    Span<const double> theta, const Mask& mask) {
  std::vector<Constant> rows(w.rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) rows[r] = row_constant(w, static_cast<Index>(r), columns, theta, mask);
  return rows;
}

/// Each vector along the last axis by itself.
std::vector<Constant> linear_output(const WeightLayer& w, const std::vector<Constant>& x, Span<const double> theta,
                                    const Mask& mask) {
  std::vector<Constant> y;
  const auto in = static_cast<std::ptrdiff_t>(w.columns.size());
  for (auto first = x.begin(); first != x.end(); first += in) {
    const auto rows = row_constants(w, {first, first + in}, theta, mask);
    y.insert(y.end(), rows.begin(), rows.end());
  }
  return y;
}

std::vector<Constant> conv_output(const WeightLayer& w, const Shape& in, const std::vector<Constant>& x,
                                  Span<const double> theta, const Mask& mask) {
  std::vector<Constant> y;
  for (Constant row : row_constants(w, column_constants(w, in, x), theta, mask))
    y.insert(y.end(), at(w.positions), row);
  return y;
}

std::vector<Constant> added(std::vector<Constant> a, const std::vector<Constant>& b) {
  for (std::size_t e = 0; e < a.size(); ++e) a[e] += b[e];
  return a;
}

std::vector<Constant> entrywise(const LayerSpec& l, std::vector<Constant> x) {
  const LayerType& type = layer_type_of(l);
  for (Constant& c : x) c = is_constant(c) ? type.constant(l, c) : kVaries;
  return x;
}

}  // namespace

bool any_kept(const Mask& mask, Index first, Index count) {
  const auto begin = mask.kept.begin() + first;
  return std::any_of(begin, begin + count, [](std::uint8_t k) { return k != 0; });
}

bool is_foldable(const WeightLayer& w, Constant column) {
  return column == 0 || (is_constant(column) && !w.pads && w.bias >= 0);
}

std::vector<Constant> column_constants(const WeightLayer& w, const Shape& input, const std::vector<Constant>& value) {
  return shared(value, static_cast<Index>(w.columns.size()), w.is_conv() ? channel_size(input) : 1);
}

std::vector<std::vector<Constant>> constant_entries(const ModelSpec& model, const ChannelMap& map,
                                                    Span<const double> theta, const Mask& mask) {
  std::vector<std::vector<Constant>> values{std::vector<Constant>(at(model.input.size()), kVaries)};
  auto weights = map.weights.begin();
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const LayerSpec& l = model.layers[i];
    const std::vector<Constant>& x = values.back();
    switch (map.uses[i]) {
      case ChannelUse::weight:
        values.push_back(weights->is_conv() ? conv_output(*weights, map.shapes[i], x, theta, mask)
                                            : linear_output(*weights, x, theta, mask));
        ++weights;
        break;
      case ChannelUse::channelwise:
        values.push_back(channelwise(l, x, map.shapes[i], map.shapes[i + 1]));
        break;
      case ChannelUse::sum:
        values.push_back(added(x, values[at(map.added[i])]));
        break;
      case ChannelUse::mixed:
        values.emplace_back(at(map.shapes[i + 1].size()), kVaries);
        break;
      default:
        values.push_back(entrywise(l, x));
    }
  }
  return values;
}

}  // namespace hso
