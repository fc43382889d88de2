// SPDX-License-Identifier: Apache-2.0
#include "linalg/hidden_weight.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace hso::detail {

/// The sum is kept as exp(log_scale) times a number of ordinary size.
double log_hidden_weight(const LanczosRecurrence& r, double x, double rounding) {
  double before = 0, now = 1, sum = 1, log_scale = 0, coupling = 0;
  for (std::size_t i = 0; i < r.diagonal.size(); ++i) {
    const double beta = std::max(std::abs(r.off_diagonal[i]), rounding);
    const double next = ((x - r.diagonal[i]) * now - coupling * before) / beta;
    before = now;
    now = next;
    coupling = beta;
    sum += now * now;
    if (!(std::abs(r.off_diagonal[i]) > rounding)) break;
    if (!(sum > 1e100)) continue;
    const double root = std::sqrt(sum);
    before /= root;
    now /= root;
    log_scale += std::log(sum);
    sum = 1;
  }
  return -(log_scale + std::log(sum));
}

double chance_of_hiding(Index d, double log_weight) {
  return std::min(1.0, std::sqrt(2 * static_cast<double>(d) / std::numbers::pi) * std::exp(0.5 * log_weight));
}

double hidden_beyond(const LanczosRecurrence& r, Index d, double inner, double sign, double chance, double rounding) {
  const auto hidden = [&](double distance) {
    return chance_of_hiding(d, log_hidden_weight(r, inner + sign * distance, rounding)) <= chance;
  };
  if (hidden(0)) return inner;
  double size = std::abs(inner);
  for (std::size_t i = 0; i < r.diagonal.size(); ++i)
    size = std::max(size, std::abs(r.diagonal[i]) + 2 * std::abs(r.off_diagonal[i]));
  double low = 0, high = std::max(size, std::numeric_limits<double>::min());
  for (int doubled = 0; !hidden(high); high *= 2)
    if (++doubled > 40) return sign * std::numeric_limits<double>::infinity();
  for (int halved = 0; halved < 60; ++halved) {
    const double middle = 0.5 * (low + high);
    (hidden(middle) ? high : low) = middle;
  }
  return inner + sign * high;
}

}  // namespace hso::detail
