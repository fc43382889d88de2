// SPDX-License-Identifier: Apache-2.0
//
// How many parameters of a group may be removed. Groups that lie inside one block are closed while its order is
// traced; those that span blocks count when the blocks' orders are merged.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "hsogpu/prune/surgeon.hpp"

namespace hso::detail {

class QuotaCounts {
 public:
  explicit QuotaCounts(const std::vector<Quota>& quotas) : quotas_(quotas) {
    for (const Quota& quota : quotas) counts_.emplace_back(quota.limits.size(), 0);
  }
  bool allows(Index parameter) const {
    for (std::size_t i = 0; i < quotas_.size(); ++i) {
      const Index g = group(i, parameter);
      if (g >= 0 && counts_[i][static_cast<std::size_t>(g)] >= quotas_[i].limits[static_cast<std::size_t>(g)])
        return false;
    }
    return true;
  }
  void count(Index parameter) {
    for (std::size_t i = 0; i < quotas_.size(); ++i)
      if (const Index g = group(i, parameter); g >= 0) ++counts_[i][static_cast<std::size_t>(g)];
  }

 private:
  Index group(std::size_t quota, Index parameter) const {
    return quotas_[quota].group[static_cast<std::size_t>(parameter)];
  }
  const std::vector<Quota>& quotas_;
  std::vector<std::vector<Index>> counts_;
};

/// The groups that lie inside the blocks of one chunk.
class BlockQuotas {
 public:
  BlockQuotas(const std::vector<Quota>& quotas, const std::vector<SurgeryBlock>& blocks, Span<const std::size_t> chunk)
      : lanes_(chunk.size()) {
    for (const Quota& quota : quotas) {
      std::vector<Index> sizes(quota.limits.size(), 0);
      for (const SurgeryBlock& block : blocks)
        for (const Index j : block.parameters)
          if (const Index g = quota.group[static_cast<std::size_t>(j)]; g >= 0) ++sizes[static_cast<std::size_t>(g)];
      for (std::size_t k = 0; k < chunk.size(); ++k) add(quota, sizes, blocks[chunk[k]], k);
    }
  }

  /// Sets open to 0 for groups that are full since the last call; true when there are any.
  template <class T>
  bool close(Index step, Index m, Span<T> open) {
    bool any = false;
    for (std::size_t k = 0; k < lanes_.size(); ++k) {
      for (Group& group : lanes_[k].groups) {
        if (group.closed || group.left > 0 || (step > 0 && !group.touched)) continue;
        for (const Index i : group.members) open[k * static_cast<std::size_t>(m) + static_cast<std::size_t>(i)] = T(0);
        group.closed = any = true;
      }
    }
    return any;
  }
  void count(std::size_t lane, Index position) {
    const auto& at = lanes_[lane].groups_of;
    const auto [first, last] = at.equal_range(position);
    for (auto entry = first; entry != last; ++entry) {
      Group& group = lanes_[lane].groups[entry->second];
      --group.left;
      group.touched = true;
    }
  }

 private:
  struct Group {
    std::vector<Index> members;  ///< positions in the block
    Index left = 0;
    bool touched = false, closed = false;
  };
  struct Lane {
    std::vector<Group> groups;
    std::multimap<Index, std::size_t> groups_of;
  };

  void add(const Quota& quota, const std::vector<Index>& sizes, const SurgeryBlock& block, std::size_t lane) {
    std::map<Index, std::vector<Index>> members;
    for (std::size_t i = 0; i < block.parameters.size(); ++i)
      if (const Index g = quota.group[static_cast<std::size_t>(block.parameters[i])]; g >= 0)
        members[g].push_back(static_cast<Index>(i));
    for (auto& [g, inside] : members) {
      if (static_cast<Index>(inside.size()) < sizes[static_cast<std::size_t>(g)]) continue;
      for (const Index i : inside) lanes_[lane].groups_of.emplace(i, lanes_[lane].groups.size());
      lanes_[lane].groups.push_back({std::move(inside), quota.limits[static_cast<std::size_t>(g)]});
    }
  }
  std::vector<Lane> lanes_;
};

}  // namespace hso::detail
