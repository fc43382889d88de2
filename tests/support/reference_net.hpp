// SPDX-License-Identifier: Apache-2.0
//
// The plain interpreter of a network: one layer, one sample, one scalar at a time, over any number type. With dual
// numbers as scalars it gives every derivative without a derivative rule for any op. Shares no code with the library.
#pragma once

#include <map>
#include <vector>

#include "support/net.hpp"

namespace hso::test {

using Numbers = std::vector<double>;

/// A network with everything its loss depends on: f = sum_n weights[n] loss_n.
struct Problem {
  const Net* net = nullptr;
  Numbers theta;
  int batch = 0;
  Numbers x, t, weights;         ///< batch first, weights [batch]
  std::map<int, Numbers> masks;  ///< by position of a dropout layer, batch first; none: the identity
  bool training = false;         ///< batchnorm takes the statistics of the batch
};

/// Values of one layer for the whole batch.
Numbers reference_values(const Problem& problem, int layer);
double reference_loss(const Problem& problem);
Numbers reference_gradient(const Problem& problem);
/// H v, one nested dual evaluation for each entry.
Numbers reference_product(const Problem& problem, const Numbers& v);
/// H [n][n] entry by entry, j >= i evaluated.
Numbers reference_hessian(const Problem& problem);
/// sum_n w_n J_n' (d^2 loss / dz^2) J_n, J_n the Jacobian of the loss's first input z.
Numbers reference_ggn(const Problem& problem);

}  // namespace hso::test
