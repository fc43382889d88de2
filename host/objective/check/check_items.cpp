// SPDX-License-Identifier: Apache-2.0
#include "objective/check/check_items.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace hso::check {
namespace {

bool accepted(const Difference& d) { return d.agreed && d.resolved; }

/// Worse: not accepted before accepted, then the larger share of its bound.
bool better(const Difference& a, const Difference& b) {
  if (accepted(a) != accepted(b)) return accepted(a);
  return a.error * b.bound < b.error * a.bound;
}

std::string disagreement_note(const DifferenceVerdict& verdict, const Difference& worst,
                              const std::vector<std::string>& kinks) {
  std::string note = verdict.cause + verdict.where;
  if (worst.steady) note += "; the disagreement does not depend on h";
  if (kinks.empty()) return note + "; or f has a kink near theta that was not declared";
  return note +
         fmt::format("; or a kink ({}) lies at theta or closer to it than the shortest h", fmt::join(kinks, ", "));
}

}  // namespace

Rounding rounding_of(double epsilon, Index n, double value, double value_noise) {
  const double relative = value_noise / std::max(std::abs(value), 1e-300);
  return {16 * epsilon * std::sqrt(static_cast<double>(std::max<Index>(n, 256))), std::min(10 * relative, 1e-3)};
}

CheckItem identity_item(const std::string& name, double error, const Rounding& rounding, const std::string& cause) {
  CheckItem item{name, CheckStatus::passed, error, rounding.plain, "16 eps sqrt(n), n at least 256", ""};
  if (error <= rounding.plain) return item;
  if (rounding.amplified > rounding.plain) {
    item.bound = rounding.amplified;
    item.bound_from = "10 times the relative rounding error measured in f";
  }
  if (error <= item.bound) {
    item.note = "f is nearly zero here, so its curvature is lost in rounding to this extent";
    return item;
  }
  item.status = CheckStatus::failed;
  item.note = std::isfinite(error) ? cause : "not finite";
  return item;
}

CheckItem skipped_item(const std::string& name, const std::string& why) {
  return {name, CheckStatus::skipped, 0, 0, "", why};
}

CheckItem difference_item(const DifferenceVerdict& verdict, const std::vector<Difference>& directions,
                          const std::vector<std::string>& kinks) {
  const Difference& worst = *std::max_element(directions.begin(), directions.end(), better);
  CheckItem item{verdict.name,
                 CheckStatus::passed,
                 worst.error,
                 worst.bound,
                 fmt::format("4 |D(2h) - D(h)| / 3 + 10 noise / h at h = {:.1e}", worst.step),
                 ""};
  const bool shortened = std::any_of(directions.begin(), directions.end(), [](const auto& d) { return d.shortened; });
  if (accepted(worst)) {
    if (shortened && !kinks.empty())
      item.note =
          fmt::format("a kink ({}) lies within the first h of theta; shorter steps agree", fmt::join(kinks, ", "));
    return item;
  }
  item.status = CheckStatus::failed;
  item.note = disagreement_note(verdict, worst, kinks);
  if (worst.agreed) {
    item.status = CheckStatus::inconclusive;
    item.note = "differences cannot resolve this derivative: no step has a bound below 1e-3";
  } else if (!kinks.empty() && verdict.identities_hold) {
    item.status = CheckStatus::inconclusive;
  }
  if (!std::isfinite(worst.error)) item.note = "not finite";
  return item;
}

}  // namespace hso::check
