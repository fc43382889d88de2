// SPDX-License-Identifier: Apache-2.0
//
// What removing a unit costs, and what it does to the rest.
#pragma once

#include <memory>

#include "hsogpu/prune/structure.hpp"
#include "prune/select/stage.hpp"

namespace hso::detail {

class UnitCosts {
 public:
  virtual ~UnitCosts() = default;
  virtual double cost(const Unit& unit) = 0;
  virtual void remove(const Unit& unit) = 0;
  /// theta of what is left; entries of removed units are not looked at.
  virtual std::vector<double> theta() = 0;
  /// True when a removal changes the cost of other units.
  virtual bool changes() const = 0;
  /// What went otherwise than asked; empty: nothing.
  virtual std::string note() const { return {}; }
};

template <class T>
std::unique_ptr<UnitCosts> unit_costs(Stage<T>& stage, const std::vector<UnitGroup>& groups);

}  // namespace hso::detail
