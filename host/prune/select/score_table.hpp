// SPDX-License-Identifier: Apache-2.0
//
// What each pruning score is: a row of one table (scores.cpp).
#pragma once

#include "prune/select/stage.hpp"

namespace hso::detail {

/// What the score of a whole unit is, from the numbers of its parameters.
enum class UnitScore {
  mean_of_makers,  ///< of the weights that make the unit, over the mean of its group's units
  sum_of_makers,   ///< |sum of g w| over them, signs kept: not of the table's |g w|
  first,           ///< that of its first parameter: all are random
  mean,            ///< of all its parameters
  sum              ///< of all its parameters: changes of the loss add up
};

struct ScoreRow {
  PruneScore score;
  const char *name, *summary;
  bool compensates;  ///< also moves the parameters that stay, and predicts the change of the loss
  bool predicts;     ///< without compensation: the score is the change of the loss
  UnitScore unit;
  /// One number a parameter; null where removals change the scores of what stays.
  Buffer<double> (*in_float)(Stage<float>&);
  Buffer<double> (*in_double)(Stage<double>&);
};
const ScoreRow& row_of(PruneScore score);

}  // namespace hso::detail
