// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "hsogpu/prune/prune.hpp"
#include "io/choice.hpp"
#include "io/text_parts.hpp"

namespace hso {

PruneSchedule parse_prune_schedule(const std::string& text) {
  static const std::vector<std::string> kinds{"oneshot", "iterative", "gradual", "single"};
  const std::size_t colon = text.find(':');
  PruneSchedule out;
  out.kind = parse_choice<PruneSchedule::Kind>("schedule", text.substr(0, colon), kinds);
  const bool counts = out.kind == PruneSchedule::Kind::iterative || out.kind == PruneSchedule::Kind::gradual;
  if (counts != (colon != std::string::npos))
    throw UsageError(fmt::format("schedule '{}': expected oneshot, iterative:N, gradual:N or single", text));
  if (!counts) return out;
  out.stages = number_in<decltype(out.stages)>(text.substr(colon + 1)).value_or(0);
  if (out.stages < 1)
    throw UsageError(fmt::format("schedule '{}': expected a whole number of stages, at least 1", text));
  return out;
}

std::string to_string(const PruneSchedule& schedule) {
  switch (schedule.kind) {
    case PruneSchedule::Kind::one_shot:
      return "oneshot";
    case PruneSchedule::Kind::iterative:
      return fmt::format("iterative:{}", schedule.stages);
    case PruneSchedule::Kind::gradual:
      return fmt::format("gradual:{}", schedule.stages);
    case PruneSchedule::Kind::single:
      break;
  }
  return "single";
}

std::vector<Index> kept_after_stages(const PruneSchedule& schedule, Index before, Index after) {
  std::vector<Index> out;
  const Index stages = schedule.kind == PruneSchedule::Kind::single     ? before - after
                       : schedule.kind == PruneSchedule::Kind::one_shot ? 1
                                                                        : schedule.stages;
  const auto b = static_cast<double>(before), a = static_cast<double>(after);
  for (Index k = 1; k <= stages; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(stages);
    double kept = b + (a - b) * share;
    if (schedule.kind == PruneSchedule::Kind::gradual) kept = a + (b - a) * std::pow(1 - share, 3);
    // max: a count of zero is reached by no factor.
    if (schedule.kind == PruneSchedule::Kind::iterative)
      kept = b * std::pow(std::max(a, 0.5) / std::max(b, 1.0), share);
    out.push_back(k == stages ? after : std::max(after, static_cast<Index>(std::llround(kept))));
  }
  return out;
}

}  // namespace hso
