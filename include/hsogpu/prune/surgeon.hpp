// SPDX-License-Identifier: Apache-2.0
//
// Optimal Brain Surgeon on quadratic models of the loss: which parameters to remove, what it costs, and what the others
// become.
//
//   dL = 1/2 d' H d, H block-diagonal; the removal of q costs w_q^2 / (2 [H^-1]_qq), and the others move by
//   d = -(w_q / [H^-1]_qq) H^-1 e_q (Hassibi and Stork, NIPS 1992, eqs. 4 and 5). The inverse of what is left comes
//   from one rank-one elimination a removal; `capacity` of them are gathered into one product with the matrix.
//
// Blocks do not see each other, so the greedy order of the whole model, always the cheapest removal next, is the merge
// of the blocks' own orders by their next cost. A quota inside of a block closes its group when it is full; one over
// several blocks passes over what it forbids, and the costs that follow in that block count it as removed. The removed
// entries are exactly 0, and the others are solved for once more from the kept block, w_S + H_SS^-1 H_SQ w_Q, so that
// nothing is left of the eliminations' rounding.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso {

/// A block is a principal submatrix of one of the model's matrices, times a factor.
struct SurgeryBlock {
  Index matrix = 0;
  double scale = 1;                 ///< H_b = scale A_SS
  std::vector<Index> parameters{};  ///< positions in theta
  std::vector<Index> rows{};        ///< their rows in the matrix
};

template <class T>
struct SurgeryModel {
  std::vector<Index> orders;                          ///< of the matrices
  std::function<void(Index matrix, T* device)> fill;  ///< writes a matrix, [order][order], symmetric
  std::vector<SurgeryBlock> blocks;                   ///< disjoint, in the order of their matrices
};

/// At most `limits[g]` parameters of group g are removed; `group[j]` is parameter j's, -1 for none.
struct Quota {
  std::vector<Index> group;
  std::vector<Index> limits;
};

struct SurgeryOptions {
  Index count = 0;                      ///< removals
  std::vector<std::uint8_t> removable;  ///< one a parameter: 1 where it may be removed
  std::vector<Quota> quotas;
  /// H + delta I is inverted, delta = damping times the mean of the block's diagonal.
  double damping = 1e-4;
  Index capacity = 32;  ///< columns that wait before the inverse is updated
  /// Called with theta after the first k removals for each k of `watched`, ascending: a solve of the kept blocks each.
  std::function<void(Index removals, const std::vector<double>& theta)> watch{};
  std::vector<Index> watched{};
};

struct Removal {
  Index parameter = 0;
  double predicted = 0;  ///< change of the loss in the model, given what was removed before
};

struct Surgery {
  std::vector<Removal> removals;   ///< in order; fewer than `count` where quotas allow no more
  std::vector<double> theta;       ///< removed entries +0, the others compensated
  double predicted = 0;            ///< the sum
  std::vector<std::string> notes;  ///< detours: a block that was not positive definite
};

/// A block that is not positive definite is replaced by V max(|L|, delta) V' of its eigendecomposition, and a note says
/// so. InputError for sizes that do not fit, NumericalError for a matrix that is not finite, MemoryError with the bytes
/// needed.
template <class T>
Surgery obs_prune(Context& context, const SurgeryModel<T>& model, Span<const double> theta,
                  const SurgeryOptions& options);

/// Device bytes that obs_prune takes for the largest of these blocks, its matrix included.
template <class T>
Index surgery_bytes(Index order, Index block);

}  // namespace hso
