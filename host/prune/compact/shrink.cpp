// SPDX-License-Identifier: Apache-2.0
//
// Three steps: what the outputs need (liveness.hpp), what constants the biases of needed rows take up
// (constant_folding.hpp), and the copy of what stays (channels.hpp).
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/prune/structure.hpp"
#include "nn/network_layers.hpp"
#include "prune/compact/channels.hpp"
#include "prune/compact/constant_folding.hpp"
#include "prune/compact/liveness.hpp"

namespace hso {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void check_lengths(const ModelSpec& model, Index expected, Index theta, Index mask) {
  if (theta == expected && mask == expected) return;
  throw InputError(fmt::format("shrink: found {} parameters and a mask of {}, expected {} of each as {} has", theta,
                               mask, expected, model.name));
}

class Shrinker {
 public:
  Shrinker(const ModelSpec& model, Span<const double> theta, const Mask& mask)
      : model_(model), map_(map_channels(model)), mask_(mask) {
    check_lengths(model, map_.size, static_cast<Index>(theta.size()), mask.size());
    theta_.assign(theta.begin(), theta.end());
    for (std::size_t i = 0; i < theta_.size(); ++i)
      if (mask_.kept[i] == 0) theta_[i] = 0;
    const auto constants = constant_entries(model, map_, theta_, mask_);
    for (const WeightLayer& w : map_.weights)
      constants_.push_back(column_constants(w, map_.shapes[at(w.layer)], constants[at(w.layer)]));
  }

  ShrunkModel run() {
    needs_ = find_needs(model_, map_, constants_, mask_);
    keep_shapes();
    out_.model = model_;
    std::size_t k = 0;
    for (int layer = 0; layer < static_cast<int>(model_.layers.size()); ++layer)
      map_.uses[at(layer)] == ChannelUse::weight ? copy(k++) : copy_all(layer);
    resize_reshapes();
    if (out_.theta.size() < theta_.size()) out_.model.name += model_.name.ends_with("-shrunk") ? "" : "-shrunk";
    return std::move(out_);
  }

 private:
  bool stays(int c) const { return needs_.classes[at(c)] || stub_[at(c)]; }

  /// Dead units that keep the shapes legal, with all their weights removed: what is bound to an input or a reshape, and
  /// one for a layer that has no other.
  void keep_shapes() {
    stub_.assign(at(map_.classes()), 0);
    for (int c = 0; c < map_.classes(); ++c) stub_[at(c)] = !map_.may_go(c) && !needs_.classes[at(c)];
    for (const WeightLayer& w : map_.weights) {
      if (std::any_of(w.rows.begin(), w.rows.end(), [this](int c) { return stays(c); })) continue;
      stub_[at(w.rows.front())] = 1;
      note(w, fmt::format("all {} units are dead; one stays, without weights", w.rows.size()));
    }
  }

  void note(const WeightLayer& w, const std::string& what) {
    out_.notes.push_back(
        fmt::format("layer {} ({}): {}", layer_label(model_, at(w.layer)), model_.layers[at(w.layer)].type, what));
  }

  void copy(std::size_t k) {
    const WeightLayer& w = map_.weights[k];
    LayerSpec& l = out_.model.layers[at(w.layer)];
    l.out = std::count_if(w.rows.begin(), w.rows.end(), [this](int c) { return stays(c); });
    if (w.groups > 1) l.groups = l.out / (static_cast<Index>(w.rows.size()) / w.groups);
    for_pairs(w, [&](Index row, Index column, Index first) {
      if (stays(w.row_class(row)) && stays(w.column_class(column)))
        for (Index t = 0; t < w.taps; ++t) append(first + t, needs_.rows[k][at(row)] && needs_.columns[k][at(column)]);
    });
    if (w.bias >= 0) copy_biases(k);
    report_unmoved(k);
  }

  /// Parameters that belong to no channel.
  void copy_all(int layer) {
    for (const ParameterInfo& p : map_.parameters)
      for (Index i = 0; p.layer == layer && i < p.shape.size(); ++i) append(p.offset + i, true);
  }

  /// A new parameter; its number and mask when `used`, else removed.
  void append(Index source, bool used) {
    out_.source.push_back(source);
    out_.theta.push_back(used ? theta_[at(source)] : 0);
    out_.mask.kept.push_back(used && mask_.kept[at(source)] != 0);
  }

  /// For each needed row the constants that it read from other columns; NaN where it read none.
  std::vector<double> added_to_rows(std::size_t k) const {
    const WeightLayer& w = map_.weights[k];
    std::vector<double> sums(w.rows.size(), std::numeric_limits<double>::quiet_NaN());
    for_pairs(w, [&](Index row, Index column, Index first) {
      const Constant c = constants_[k][at(column)];
      if (!needs_.rows[k][at(row)] || needs_.columns[k][at(column)] || c == 0) return;
      if (!any_kept(mask_, first, w.taps)) return;
      double& sum = sums[at(row)];
      if (std::isnan(sum)) sum = 0;
      for (Index t = 0; t < w.taps; ++t) sum += c * theta_[at(first + t)];
    });
    return sums;
  }

  void copy_biases(std::size_t k) {
    const WeightLayer& w = map_.weights[k];
    const std::vector<double> added = added_to_rows(k);
    Index moved = 0;
    for (Index row = 0; row < static_cast<Index>(w.rows.size()); ++row) {
      if (!stays(w.row_class(row))) continue;
      append(w.bias + row, needs_.rows[k][at(row)]);
      if (std::isnan(added[at(row)])) continue;
      out_.theta.back() += added[at(row)];
      out_.mask.kept.back() = 1;
      ++moved;
    }
    if (moved > 0) note(w, fmt::format("{} biases took up constants of removed units", moved));
  }

  void report_unmoved(std::size_t k) {
    const WeightLayer& w = map_.weights[k];
    std::vector<char> held(w.columns.size());
    for_pairs(w, [&](Index row, Index column, Index first) {
      const Constant c = constants_[k][at(column)];
      if (needs_.rows[k][at(row)] && is_constant(c) && !is_foldable(w, c) && any_kept(mask_, first, w.taps))
        held[at(column)] = map_.may_go(w.column_class(column));
    });
    const auto count = std::count(held.begin(), held.end(), 1);
    if (count > 0)
      note(w, fmt::format("{} of its inputs are constants that stay: the layer {}", count,
                          w.pads ? "pads them with zeros" : "has no bias to take them up"));
  }

  void resize_reshapes() {
    for (std::size_t i = 0; i < model_.layers.size(); ++i) {
      if (model_.layers[i].type != "reshape" || model_.layers[i].size.size() != 1) continue;
      const std::vector<int>& entries = map_.entries[i + 1];
      out_.model.layers[i].size = {std::count_if(entries.begin(), entries.end(), [this](int c) { return stays(c); })};
    }
  }

  const ModelSpec& model_;
  ChannelMap map_;
  Mask mask_;
  std::vector<double> theta_;                     ///< 0 where removed
  std::vector<std::vector<Constant>> constants_;  ///< of the columns of each weight layer
  Needs needs_;
  std::vector<char> stub_;  ///< by class
  ShrunkModel out_;
};

/// A convolution has one group left: its channels go one by one from now on.
bool lost_groups(const ModelSpec& before, const ModelSpec& after) {
  for (std::size_t i = 0; i < before.layers.size(); ++i)
    if (before.layers[i].groups > 1 && after.layers[i].groups == 1) return true;
  return false;
}

}  // namespace

ShrunkModel shrink(const ModelSpec& model, Span<const double> theta, const Mask& mask) {
  ShrunkModel small = Shrinker(model, theta, mask).run();
  if (!lost_groups(model, small.model)) return small;
  ShrunkModel smaller = shrink(small.model, small.theta, small.mask);
  for (Index& i : smaller.source) i = small.source[at(i)];
  smaller.notes.insert(smaller.notes.begin(), small.notes.begin(), small.notes.end());
  return smaller;
}

}  // namespace hso
