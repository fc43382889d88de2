// SPDX-License-Identifier: Apache-2.0
//
// From measured errors to report items.
#pragma once

#include <string>

#include "hsogpu/objective/check.hpp"
#include "objective/check/check_differences.hpp"

namespace hso::check {

/// What rounding allows. `plain` = 16 eps sqrt(max(n, 256)): errors of sums of n terms grow like sqrt(n). `amplified` =
/// 10 times the measured relative noise of f: where the loss is nearly zero, cross-entropy curvature p (1 - p) is a
/// difference of nearly equal numbers, as the loss itself is, and loses as many digits.
struct Rounding {
  double plain = 0;
  double amplified = 0;
};
Rounding rounding_of(double epsilon, Index n, double value, double value_noise);

/// Passed below `plain`, passed with a note below `amplified`.
CheckItem identity_item(const std::string& name, double error, const Rounding& rounding, const std::string& cause);
CheckItem skipped_item(const std::string& name, const std::string& why);

/// The worst of the directions. `cause` says what a disagreement means; `where` names the slice that is worst.
struct DifferenceVerdict {
  std::string name, cause, where;
  bool identities_hold = true;
};
CheckItem difference_item(const DifferenceVerdict& verdict, const std::vector<Difference>& directions,
                          const std::vector<std::string>& kinks);

}  // namespace hso::check
