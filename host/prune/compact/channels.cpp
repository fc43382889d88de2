// SPDX-License-Identifier: Apache-2.0
#include "prune/compact/channels.hpp"

#include <fmt/format.h>

#include <map>
#include <numeric>

#include "nn/network_layers.hpp"

namespace hso {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Union-find with a reason to stay for each class.
class Classes {
 public:
  int make() {
    parent_.push_back(static_cast<int>(parent_.size()));
    reason_.emplace_back();
    return parent_.back();
  }
  int find(int c) {
    while (parent_[at(c)] != c) c = parent_[at(c)] = parent_[at(parent_[at(c)])];
    return c;
  }
  void unite(int a, int b) {
    const int low = std::min(find(a), find(b)), high = std::max(find(a), find(b));
    if (low == high) return;
    parent_[at(high)] = low;
    fix(low, reason_[at(high)]);
  }
  /// The first reason stays.
  void fix(int c, const std::string& reason) {
    std::string& known = reason_[at(find(c))];
    if (known.empty()) known = reason;
  }
  const std::string& reason(int c) { return reason_[at(find(c))]; }

 private:
  std::vector<int> parent_;
  std::vector<std::string> reason_;
};

class ChannelWalk {
 public:
  explicit ChannelWalk(const ModelSpec& model) : model_(model), built_(build_layers<float>(model)) {}

  ChannelMap run() {
    map_.shapes.push_back(model_.input);
    map_.entries.push_back(entries_of(make(model_.input.size()), model_.input.size(), 1));
    for (int c : map_.entries[0]) classes_.fix(c, "the model's inputs");
    for (at_ = 0; at_ < model_.layers.size(); ++at_) walk(model_.layers[at_]);
    for (int c : map_.entries.back()) classes_.fix(c, "the model's outputs");
    resolve();
    return std::move(map_);
  }

 private:
  std::vector<int> make(Index count) {
    std::vector<int> made(at(count));
    for (int& c : made) c = classes_.make();
    return made;
  }

  /// Entry e has class made[e / run % made.size()].
  static std::vector<int> entries_of(const std::vector<int>& made, Index size, Index run) {
    std::vector<int> entries(at(size));
    for (Index e = 0; e < size; ++e) entries[at(e)] = made[at(e / run) % made.size()];
    return entries;
  }

  const Shape& input_shape() const { return map_.shapes.back(); }
  const std::vector<int>& input() const { return map_.entries.back(); }

  /// One class for each of `count` columns: entry e belongs to column e / run % count.
  std::vector<int> unite_columns(Index count, Index run) {
    std::vector<int> columns(at(count), -1);
    for (Index e = 0; e < static_cast<Index>(input().size()); ++e) {
      int& column = columns[at(e / run % count)];
      if (column < 0) column = input()[at(e)];
      classes_.unite(column, input()[at(e)]);
    }
    return columns;
  }

  void walk(const LayerSpec& l) {
    const Shape shape = built_.graph[built_.outputs[at_]].shape;
    map_.added.push_back(-1);
    map_.entries.push_back(entries(l, shape));
    map_.shapes.push_back(shape);
    if (!l.name.empty()) values_[l.name] = static_cast<int>(at_) + 1;
  }

  std::vector<int> entries(const LayerSpec& l, const Shape& shape) {
    const ChannelUse use = layer_type_of(l).channels(l);
    map_.uses.push_back(use);
    const std::string reason = fmt::format("the {} of layer {}", l.type, layer_label(model_, at_));
    if (use == ChannelUse::fixed || use == ChannelUse::mixed)
      for (int c : input()) classes_.fix(c, reason);
    switch (use) {
      case ChannelUse::weight:
        return weights(l, shape);
      case ChannelUse::channelwise:
        return entries_of(unite_columns(input_shape()[0], channel_size(input_shape())), shape.size(),
                          channel_size(shape));
      case ChannelUse::sum:
        unite_with(map_.added.back() = values_.at(l.from));
        return input();
      case ChannelUse::mixed: {
        if (!l.from.empty())
          for (int c : map_.entries[at(map_.added.back() = values_.at(l.from))]) classes_.fix(c, reason);
        const int one = classes_.make();
        classes_.fix(one, reason);
        return std::vector<int>(at(shape.size()), one);
      }
      default:
        return input();
    }
  }

  void unite_with(int value) {
    for (std::size_t e = 0; e < input().size(); ++e) classes_.unite(input()[e], map_.entries[at(value)][e]);
  }

  std::vector<int> weights(const LayerSpec& l, const Shape& shape) {
    WeightLayer w = described();
    if (w.is_conv()) {
      w.groups = l.groups;
      w.taps = l.kernel[0] * l.kernel[1];
      w.pads = l.padding != Pair{0, 0};
    }
    w.columns = unite_columns(w.weight.shape[1] * w.groups, w.is_conv() ? channel_size(input_shape()) : 1);
    w.rows = make(w.weight.shape[0]);
    for (Index row = 0; w.groups > 1 && row < static_cast<Index>(w.rows.size()); ++row)
      for (Index k = 0; k < w.row_columns(); ++k)
        classes_.unite(w.columns[at(w.first_column(row) + k)], w.rows[at(row)]);
    map_.weights.push_back(w);
    return entries_of(w.rows, shape.size(), w.is_conv() ? channel_size(shape) : 1);
  }

  WeightLayer described() const {
    WeightLayer w;
    w.layer = static_cast<int>(at_);
    for (const ParameterInfo& p : built_.parameters)
      if (p.layer == w.layer && p.is_bias)
        w.bias = p.offset;
      else if (p.layer == w.layer)
        w.weight = p;
    w.positions = w.weight.uses;
    return w;
  }

  /// Classes numbered from 0 in the order of their first entries.
  void resolve() {
    map_.parameters = built_.parameters;
    map_.size = built_.graph.parameter_count();
    std::map<int, int> number;
    const auto resolved = [&](int& c) {
      const int root = classes_.find(c);
      const auto [known, is_new] = number.emplace(root, static_cast<int>(number.size()));
      if (is_new) map_.fixed.push_back(classes_.reason(root));
      c = known->second;
    };
    for (auto& entries : map_.entries)
      for (int& c : entries) resolved(c);
    for (WeightLayer& w : map_.weights) {
      for (int& c : w.columns) resolved(c);
      for (int& c : w.rows) resolved(c);
    }
  }

  const ModelSpec& model_;
  NetworkLayers<float> built_;
  ChannelMap map_;
  Classes classes_;
  std::map<std::string, int> values_{{"input", 0}};
  std::size_t at_ = 0;
};

}  // namespace

ChannelMap map_channels(const ModelSpec& model) { return ChannelWalk(model).run(); }

}  // namespace hso
