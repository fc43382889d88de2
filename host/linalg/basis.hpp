// SPDX-License-Identifier: Apache-2.0
//
// An orthonormal basis in device memory, one vector a row, and orthogonalisation against it: block Gram-Schmidt in two
// passes, V projected out and Cholesky-QR inside a panel each time (Barlow and Smoktunowicz, Numer. Math. 123 (2013)).
// Nothing waits for the device but what says so.
#pragma once

#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "linalg/panel_log.hpp"

namespace hso::detail {

template <class T>
class Basis {
 public:
  Basis(Context& context, Index n, Index capacity)
      : context_(context), ops_(context.ops<T>()), n_(n), vectors_(context, checked_multiply(n, capacity)) {}

  Index n() const { return n_; }
  Index size() const { return size_; }
  T* row(Index i) { return vectors_.data() + i * n_; }
  void resize(Index size) { size_ = size; }
  /// What random vectors depend on beside their seed.
  void visit_state(StateVisitor& state) { state("random_vectors", random_vectors_); }

  /// w_j -= V'V w_j for the first `against` vectors and `count` rows w, in two passes.
  void project_out(Index against, Index count, T* w);

  /// Rows [first, first + count) become orthonormal and orthogonal to those before; what they were goes to the log. A
  /// row that is rounding beside the scale is reported as negligible, one that lost most of its length in the second
  /// pass as imprecise: `repair` then. scale (device): raised first to the size of the product of `lanes` unit vectors
  /// that the rows are, |.|^2 in the log's product(); lanes = 0: there is none.
  void append(Index first, Index count, Index lanes, double* scale, PanelLog<T>& log);
  /// The panels of one block as they were read: where a row is not fine, it and those behind it are made again one by
  /// one. Negligible rows become random vectors with 0 for the coefficient of themselves, imprecise ones are projected
  /// once more, and `panels` says what the rows were in terms of the new ones. False: all was fine. Otherwise it waits
  /// for the device. The log is empty, and is so again.
  bool repair(Span<PanelNumbers> panels, double* scale, std::uint64_t seed, PanelLog<T>& log);
  /// Rows [first, first + count) -= V'V of them for the first `against` vectors, in two passes, logged.
  void project_beside(Index against, Index first, Index count, PanelLog<T>& log);

  /// append and repair, which waits. r[count][count] (host): row j of what was there = sum_l r[l][j] (new row l), r
  /// upper triangular, where the rows were orthogonal to those before `first`. A row that is rounding beside `scale`
  /// becomes a random vector orthogonal to all, with r[j][j] = 0.
  void orthonormalize(Index first, Index count, double scale, std::uint64_t seed, std::vector<double>& r);
  /// Bytes beside the basis that orthonormalize holds meanwhile.
  static Index orthonormalize_bytes(Index first, Index count);

  /// The rows become c V: c [m][size()] (host), m <= size(). Rows from size() on, `tail` of them, move to m on.
  void recombine(const std::vector<double>& c, Index m, Index tail);
  /// Scratch that recombine takes beside c, for any m up to `capacity`.
  static Index recombine_bytes(Index n, Index capacity);

  /// out[m][n] = c V
  void combine(const std::vector<double>& c, Index m, T* out);

 private:
  void append_panel(Index at, Index width, Index lanes, double* scale, PanelLog<T>& log);
  /// c[end - begin][count] = V w' of the vectors [begin, end), w -= c'V.
  void remove(Index begin, Index end, Index count, T* w, T* c);
  void solve_rows(Index width, const T* r, T* w);
  /// Rows [begin, end) become what they were but for the part in the rows before `begin`.
  void restore(Index begin, Index end, Span<const PanelNumbers> panels);
  /// The last row of the basis, by what was reported of it.
  void mend(PanelNumbers& one, std::uint64_t seed);
  Context& context_;
  Ops<T>& ops_;
  Index n_, size_ = 0;
  std::uint64_t random_vectors_ = 0;
  Buffer<T> vectors_;
};

}  // namespace hso::detail
