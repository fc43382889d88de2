// SPDX-License-Identifier: Apache-2.0
#include "prune/compact/liveness.hpp"

namespace hso {
namespace {

using Flags = std::vector<char>;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Group g of the entries e with e / run % count = g has a flag.
Flags any_of_groups(const Flags& entries, std::size_t count, Index run) {
  Flags groups(count);
  for (std::size_t e = 0; e < entries.size(); ++e) groups[e / at(run) % count] |= entries[e];
  return groups;
}

void spread_groups(const Flags& groups, Index run, Flags& entries) {
  for (std::size_t e = 0; e < entries.size(); ++e) entries[e] |= groups[e / at(run) % groups.size()];
}

void merge(const Flags& from, Flags& to) {
  for (std::size_t e = 0; e < to.size(); ++e) to[e] |= from[e];
}

class NeedsWalk {
 public:
  NeedsWalk(const ModelSpec& model, const ChannelMap& map, const std::vector<std::vector<Constant>>& constants,
            const Mask& mask)
      : model_(model), map_(map), constants_(constants), mask_(mask), next_(map.weights.size()) {
    for (const auto& entries : map.entries) needed_.emplace_back(entries.size());
    needs_.rows.resize(next_);
    needs_.columns.resize(next_);
  }

  Needs run() {
    needed_.back().assign(needed_.back().size(), 1);
    for (std::size_t i = model_.layers.size(); i-- > 0;) walk(i);
    needs_.classes.assign(at(map_.classes()), 0);
    for (std::size_t v = 0; v < needed_.size(); ++v)
      for (std::size_t e = 0; e < needed_[v].size(); ++e) needs_.classes[at(map_.entries[v][e])] |= needed_[v][e];
    return std::move(needs_);
  }

 private:
  /// From value i + 1 to what it is made of. Value i is complete afterwards: its other readers come later.
  void walk(std::size_t i) {
    const Flags& output = needed_[i + 1];
    const Index in = channel_size(map_.shapes[i]), out = channel_size(map_.shapes[i + 1]);
    switch (map_.uses[i]) {
      case ChannelUse::weight:
        return walk_weights(--next_);
      case ChannelUse::channelwise:
        return spread_groups(any_of_groups(output, at(map_.shapes[i][0]), out), in, needed_[i]);
      case ChannelUse::mixed:
        if (map_.added[i] >= 0) needed_[at(map_.added[i])].assign(needed_[at(map_.added[i])].size(), 1);
        return needed_[i].assign(needed_[i].size(), 1);
      case ChannelUse::sum:
        merge(output, needed_[at(map_.added[i])]);
        return merge(output, needed_[i]);
      default:
        return merge(output, needed_[i]);
    }
  }

  void walk_weights(std::size_t k) {
    const WeightLayer& w = map_.weights[k];
    const auto i = at(w.layer);
    const bool conv = w.is_conv();
    const Index in = conv ? channel_size(map_.shapes[i]) : 1, out = conv ? channel_size(map_.shapes[i + 1]) : 1;
    needs_.rows[k] = any_of_groups(needed_[i + 1], w.rows.size(), out);
    Flags columns(w.columns.size());
    for_pairs(w, [&](Index row, Index column, Index first) {
      if (needs_.rows[k][at(row)] && !is_foldable(w, constants_[k][at(column)]) && any_kept(mask_, first, w.taps))
        columns[at(column)] = 1;
    });
    spread_groups(columns, in, needed_[i]);
    needs_.columns[k] = any_of_groups(needed_[i], w.columns.size(), in);
  }

  const ModelSpec& model_;
  const ChannelMap& map_;
  const std::vector<std::vector<Constant>>& constants_;
  const Mask& mask_;
  std::size_t next_;           ///< weight layers that are still to come
  std::vector<Flags> needed_;  ///< entries of each value
  Needs needs_;
};

}  // namespace

Needs find_needs(const ModelSpec& model, const ChannelMap& map, const std::vector<std::vector<Constant>>& constants,
                 const Mask& mask) {
  return NeedsWalk(model, map, constants, mask).run();
}

}  // namespace hso
