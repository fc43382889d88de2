// SPDX-License-Identifier: Apache-2.0
//
// The factors of wrappers.hpp, from the number of accepted steps s = t - 1.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "optim/wrappers/wrapper.hpp"

namespace hso::detail {
namespace {

void require_steps(const char* wrapper, const char* argument, double value) {
  require_argument(value >= 1 && value == std::floor(value) && value < 1e15, wrapper, argument, value,
                   "a whole number, at least 1");
}
void require_share(const char* wrapper, const char* argument, double value) {
  require_argument(value >= 0 && value <= 1, wrapper, argument, value, "in [0, 1]");
}
/// From 1 to `floor` as share goes from 0 to 1.
double half_cosine(double share, double floor) {
  return floor + (1 - floor) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

}  // namespace

Schedule warmup_schedule(const Values& v) {
  require_steps("warmup", "steps", v[0]);
  return [steps = v[0]](double s) { return std::min(1.0, (s + 1) / steps); };
}

Schedule step_schedule(const Values& v) {
  require_steps("step", "every", v[0]);
  require_argument(v[1] > 0 && v[1] <= 1, "step", "factor", v[1], "in (0, 1]");
  return [every = v[0], factor = v[1]](double s) { return std::pow(factor, std::floor(s / every)); };
}

Schedule exponential_schedule(const Values& v) {
  require_argument(v[0] > 0 && v[0] <= 1, "exponential", "factor", v[0], "in (0, 1]");
  return [factor = v[0]](double s) { return std::pow(factor, s); };
}

Schedule cosine_schedule(const Values& v) {
  require_steps("cosine", "steps", v[0]);
  require_share("cosine", "floor", v[1]);
  return [steps = v[0], floor = v[1]](double s) { return half_cosine(std::min(1.0, s / steps), floor); };
}

Schedule linear_schedule(const Values& v) {
  require_steps("linear", "steps", v[0]);
  require_share("linear", "end", v[1]);
  return [steps = v[0], end = v[1]](double s) { return 1 + (end - 1) * std::min(1.0, s / steps); };
}

Schedule one_cycle_schedule(const Values& v) {
  require_steps("one_cycle", "steps", v[0]);
  require_argument(v[1] > 0 && v[1] < 1, "one_cycle", "warm", v[1], "in (0, 1)");
  require_share("one_cycle", "start", v[2]);
  require_share("one_cycle", "end", v[3]);
  return [steps = v[0], top = v[1] * v[0], start = v[2], end = v[3]](double s) {
    if (s < top) return start + (1 - start) * s / top;
    return half_cosine(std::min(1.0, (s - top) / (steps - top)), end);
  };
}

}  // namespace hso::detail
