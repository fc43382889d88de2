// SPDX-License-Identifier: Apache-2.0
//
// Optimal Brain Surgeon on H = tau I + U'U, U [r][m]: with S what is kept and M = tau I + U_S U_S',
//
//   [(H_SS)^-1]_jj = (1 - u_j' M^-1 u_j) / tau      w_S = w + U_S' M^-1 z,  z = sum of u_q w_q over what went
//
// by Woodbury's formula: r^2 numbers a parameter and round. A round removes its share of what is left to remove, at the
// costs of its beginning; a round for every removal is the greedy order. Products, factors, scores and their order are
// the device's; the host keeps who is left, reads what a round removes, and minds the quotas.
#pragma once

#include <vector>

#include "hsogpu/prune/surgeon.hpp"

namespace hso::detail {

struct LowRankModel {
  Index rank = 0;
  double tau = 1;
  Buffer<double> columns;         ///< device, [m][rank]: row i is u_i
  std::vector<Index> parameters;  ///< m positions in theta
};

/// `rounds` at least 1. Of SurgeryOptions damping and capacity are not used.
Surgery operate_low_rank(Context& context, const LowRankModel& model, Span<const double> theta,
                         const SurgeryOptions& options, Index rounds);

}  // namespace hso::detail
