// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/prune/structure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "hsogpu/core/error.hpp"
#include "prune/compact/channels.hpp"

namespace hso {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Every class that may go, as a unit; those that no layer makes or that stay have layer -1.
std::vector<Unit> units_by_class(const ChannelMap& map) {
  std::vector<Unit> units(at(map.classes()));
  for (Unit& u : units) u.layer = -1;
  const auto append = [](std::vector<Index>& list, Index first, Index count) {
    for (Index k = 0; k < count; ++k) list.push_back(first + k);
  };
  for (const WeightLayer& w : map.weights) {
    for (Index row = 0; row < static_cast<Index>(w.rows.size()); ++row) {
      Unit& made = units[at(w.row_class(row))];
      if (made.layer < 0) made.layer = w.layer, made.index = row;
      append(made.incoming, w.weight.offset + row * w.row_size(), w.row_size());
      made.multiply_adds += w.row_size() * w.positions;
      if (w.bias >= 0) made.incoming.push_back(w.bias + row);
    }
    for_pairs(w, [&](Index row, Index column, Index first) {
      if (w.row_class(row) == w.column_class(column)) return;
      Unit& read = units[at(w.column_class(column))];
      append(read.outgoing, first, w.taps);
      read.multiply_adds += w.taps * w.positions;
    });
  }
  for (Unit& u : units) std::sort(u.incoming.begin(), u.incoming.end());
  return units;
}

/// For each class that may go, the layers that make it.
std::map<int, std::vector<int>> makers(const ChannelMap& map) {
  std::map<int, std::vector<int>> layers;
  for (const WeightLayer& w : map.weights)
    for (int c : w.rows)
      if (map.may_go(c) && (layers[c].empty() || layers[c].back() != w.layer)) layers[c].push_back(w.layer);
  return layers;
}

/// Layers that share a class have one number, that of the first of them.
std::map<int, int> first_sharing(const std::map<int, std::vector<int>>& makers) {
  std::map<int, int> first;
  const auto find = [&](int layer) {
    while (first.at(layer) != layer) layer = first.at(layer);
    return layer;
  };
  for (const auto& [c, layers] : makers)
    for (int layer : layers) first.emplace(layer, layer);
  for (const auto& [c, layers] : makers)
    for (int layer : layers) {
      const int a = find(layers.front()), b = find(layer);
      first[std::max(a, b)] = std::min(a, b);
    }
  for (auto& [layer, to] : first) to = find(to);
  return first;
}

}  // namespace

std::vector<UnitGroup> prunable_units(const ModelSpec& model) {
  const ChannelMap map = map_channels(model);
  const auto layers = makers(map);
  const auto sharing = first_sharing(layers);
  std::map<int, UnitGroup> groups;
  for (const auto& [layer, first] : sharing) groups[first].layers.push_back(layer);
  std::vector<Unit> units = units_by_class(map);
  for (const auto& [c, made_by] : layers) groups[sharing.at(made_by.front())].units.push_back(std::move(units[at(c)]));
  std::vector<UnitGroup> result;
  for (auto& [first, group] : groups) {
    if (group.units.size() < 2) continue;
    std::sort(group.units.begin(), group.units.end(),
              [](const Unit& a, const Unit& b) { return std::tie(a.layer, a.index) < std::tie(b.layer, b.index); });
    result.push_back(std::move(group));
  }
  return result;
}

std::vector<FixedLayer> fixed_layers(const ModelSpec& model) {
  const ChannelMap map = map_channels(model);
  std::vector<char> prunable(model.layers.size());
  for (const UnitGroup& g : prunable_units(model))
    for (int layer : g.layers) prunable[at(layer)] = 1;
  std::vector<FixedLayer> fixed;
  for (const WeightLayer& w : map.weights) {
    if (prunable[at(w.layer)]) continue;
    const std::string& reason = map.fixed[at(w.rows.front())];
    fixed.push_back({w.layer, reason.empty() ? "all its units only go together" : "its units are bound to " + reason});
  }
  return fixed;
}

void remove(Mask& mask, const Unit& unit) {
  for (const std::vector<Index>* list : {&unit.incoming, &unit.outgoing})
    for (Index i : *list) {
      if (i >= mask.size())
        throw InputError(fmt::format("remove: a unit with parameter {}, a mask of {} parameters", i, mask.size()));
      mask.kept[at(i)] = 0;
    }
}

std::vector<Index> weight_uses(const ModelSpec& model) {
  const ChannelMap map = map_channels(model);
  std::vector<Index> uses(at(map.size), 0);
  for (const ParameterInfo& p : map.parameters) std::fill_n(uses.begin() + p.offset, p.shape.size(), p.uses);
  return uses;
}

Index multiply_adds(const ModelSpec& model, const Mask& mask) {
  const std::vector<Index> uses = weight_uses(model);
  if (mask.kept.size() != uses.size())
    throw InputError(fmt::format("multiply_adds: found a mask of {} parameters, expected {} as {} has", mask.size(),
                                 uses.size(), model.name));
  Index total = 0;
  for (std::size_t j = 0; j < uses.size(); ++j) total += mask.kept[j] != 0 ? uses[j] : 0;
  return total;
}

}  // namespace hso
