// SPDX-License-Identifier: Apache-2.0
//
// What mini-batch K-FAC and EKFAC hold between steps: running averages of the Kronecker factors and, refreshed when the
// caller says so, their damped inverses or their eigenbases with second moments. Nothing is allocated after the first
// round. Formulas: kronecker.hpp, preconditioned_methods.hpp.
#pragma once

#include <string>
#include <vector>

#include "curvature/kronecker_state.hpp"
#include "curvature/network_pieces.hpp"

namespace hso::detail {

template <class T>
class RunningFactors {
 public:
  /// MemoryError before anything is made; UsageError as for every Kronecker factor.
  RunningFactors(NetworkPieces<T>& pieces, Curvature source);
  bool belongs_to(const NetworkPieces<T>& pieces) const { return &pieces.network.graph == &average_.graph; }

  /// f and g at theta, and the factors there, not averaged yet; fisher_mc draws targets number `draw`.
  double gradient(NetworkPieces<T>& pieces, const T* theta, T* g, std::uint64_t draw);
  /// average := keep average + (1 - keep) the last factors
  void average(double keep);

  /// (B + sqrt(delta) / pi I)^-1 and (A + pi sqrt(delta) I)^-1 of every block; says which layer has none.
  std::string invert(double delta);
  void apply_inverse(const T* g, T* step);
  /// Of the averages' largest eigenvalue: the largest |A|_F |B|_F.
  double bound() const;

  /// Eigenbases of the averages; says which layer has none.
  std::string decompose();
  /// The largest eigenvalue, or second moment.
  double largest() const;
  /// Second moments in the eigenbases := keep of them + (1 - keep) of those at theta.
  void correct(NetworkPieces<T>& pieces, const T* theta, std::uint64_t draw, double keep);
  /// step = Q' ((Q g) / (moments + delta))
  void apply_corrected(const T* g, double delta, T* step);

 private:
  Index n() const { return average_.graph.parameter_count(); }
  std::string invert_one(const LayerBlock& place, Index n, const Buffer<T>& factor, double shift, Buffer<T>& out);

  Context& context_;
  Curvature source_;
  KroneckerState<T> average_, fresh_;
  std::vector<Buffer<T>> inverse_a_, inverse_b_, reciprocals_;  ///< of each block
};

}  // namespace hso::detail
