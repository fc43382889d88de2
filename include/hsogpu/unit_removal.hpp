// SPDX-License-Identifier: Apache-2.0
//
// One stage of structured pruning: neurons and channels (structure.hpp) that go as a whole, with the weights that make
// them, their biases, and the weights that read them.
//
// A unit's score, by rule.score (removal.hpp):
//
// magnitude: the mean |w| of the weights that make it, over the mean of its group's units (Li et al., ICLR 2017, made
// comparable across layers). random: uniform, by seed. gradient: |sum g_j w_j| over the weights that make it (Molchanov
// et al., CVPR 2019, eq. 8, without the square). obd: the sum of the parameters' scores. hsp, hsp_literal: their mean.
//
// obs, fisher, hsp_saliency: w_Q' ([H^-1]_QQ)^-1 w_Q / 2 for all weights Q of the unit, and the others move by
// -H^-1_SQ ([H^-1]_QQ)^-1 w_Q (Hassibi and Stork's update for a set).
//
// kfac_obs: the same for the weights Q that read the unit, on each reader's Kronecker factors: every row r of a reader
// has Hessian B_rr A, the rows lose the same inputs, and what the unit told them is made up by the inputs that stay.
// The weights that make the unit go for nothing, and a row that went with its unit no longer pays.
//
// The unit with the smallest score for each multiply-add (or parameter, by the target) that it saves goes first.
// rule.keep counts units of a group here, one at least.
#pragma once

#include "hsogpu/model.hpp"
#include "hsogpu/removal.hpp"

namespace hso {

enum class Granularity {
  weights,
  units,   ///< neurons and channels
  rows,    ///< of weights seen as matrices: what makes one output of a layer, its bias and readers left alone
  columns  ///< what reads one input
};
/// "none" or "weights", "units", "neurons" or "channels", "rows", "columns". UsageError otherwise.
Granularity parse_granularity(const std::string& name);
const std::string& name_of(Granularity granularity);

/// What the stage reaches, as shares of the dense model; the first that is positive counts.
struct UnitTarget {
  double multiply_adds = 0;  ///< gone, of one sample's forward pass
  double sparsity = 0;       ///< gone, of all parameters
};

/// As remove_parameters; UsageError also for `weights`, and for kfac_obs with `rows`, which no layer reads. A group
/// (the rows or columns of one tensor) keeps one unit at least. `removals` holds each unit's weights in order, the
/// first with the prediction for the whole unit and the others with 0.
template <class T>
Removed remove_units(Objective<T>& objective, const ModelSpec& model, Span<const double> theta, const Mask& mask,
                     const UnitTarget& target, const RemovalRule& rule, Granularity granularity = Granularity::units);

}  // namespace hso
