// SPDX-License-Identifier: Apache-2.0
//
// Block Lanczos with full reorthogonalisation and thick restarts. The basis V holds what was kept at the last restart
// (Ritz vectors), then blocks; the projected matrix t = V A V' is taken from the coefficients of every product, so the
// arrow of a restart needs no special case. After each block A V' = V' t + (leak of the last block) R.
//
// Small residuals say that the values are eigenvalues, not that they are the extreme ones: one starting vector meets
// each eigenspace in one direction, and a start may lie badly. So converged pairs Q are followed by a search
// (missing_values.cpp): Lanczos from one random vector orthogonal to Q. Either it finds a value more extreme than Q's,
// and the iteration goes on with wider blocks, or its coefficients bound the probability that there is one
// (hidden_weight.hpp).
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/basis.hpp"
#include "linalg/hidden_weight.hpp"
#include "linalg/host_eigen.hpp"

namespace hso::detail {

/// Positions of the `count` wanted among ascending values, ascending: at an end, or nearest a number, which are
/// neighbours, also where values lie equally far from it.
std::vector<Index> wanted(const std::vector<double>& values, Index count, SpectrumEnd which);
std::vector<Index> nearest(const std::vector<double>& values, Index count, double number);

/// The widest block that a run may grow to.
Index widest_block(const LanczosOptions& o, Index n, Index capacity);

/// Steps whose coefficients wait in device memory for the host, at most.
inline constexpr Index kSteps = 16;
/// Of one step: the last one may divide its block into rows that find room and rows that do not.
inline Index most_panels(Index block) { return panel_count(block) + 3; }
inline Index log_panels(Index block) { return kSteps * panel_count(block) + 3; }

/// What a run near a number that filled its basis saw.
struct Crowd {
  double low = 0, high = 0;  ///< between which the spectrum lies
  double steps = 0;
  double unresolved = 0;  ///< eigenvalues at the number that so many steps did not tell apart
  double scale = 0;
};

/// Ritz values, ascending, and the residuals of their vectors.
struct Resolved {
  std::vector<double> values, residuals;
};

/// The projected matrix is needed only where the host looks at it, so the coefficients of some steps stay on the device
/// until then. A step whose block lost rank, or more than rounding allows, is repaired when they are read, and what was
/// made from it meanwhile is dropped.
template <class T>
class BlockLanczos {
 public:
  /// `near`: the pairs nearest this number instead of those at an end.
  BlockLanczos(LinearOperator<T>& a, const LanczosOptions& o, Index capacity, std::optional<double> near = {});
  EigenPairs<T> run();
  /// Of one vector: t is tridiagonal.
  bool one_krylov_space() const { return o_.block == 1 && !search_.on && steps_since_ == basis_.size(); }
  Crowd crowd();  ///< after a run near a number that ended with "basis_full"

 private:
  /// Rows [first, first + block) of the basis, multiplied; the `next` rows behind them came out of it.
  struct Step {
    Index first, block, next;
    Index end() const { return first + block; }
  };
  /// Where values that are missing would lie: outside [below, above]; near a number: strictly between them.
  struct Inside {
    double below, above;
  };
  /// From converged pairs until something is found or enough is known.
  struct Search {
    bool on = false;
    Inside inside{};
    Index width = 0;     ///< of the block before it
    Index aside = 0;     ///< rows that the pairs leak into, kept behind the basis until the search has ended
    Index products = 0;  ///< that it may use
    Index begun = 0;     ///< products before it
    double leaked = 0;   ///< norm of what the pairs leak
    std::vector<double> values{}, residuals{};
  };

  double& t(Index i, Index j) { return t_[static_cast<std::size_t>(i * capacity_ + j)]; }
  double tolerance() const { return std::max(o_.tolerance, krylov_tolerance<T>()) * out_.scale; }
  Index most_products() const { return o_.max_products > 0 ? o_.max_products : std::max<Index>(1000, 20 * n_); }
  /// Vectors between two looks, at least. Where the coefficients are at hand, looking costs no wait.
  Index least_interval() const { return wait_for_each_ ? 1 : 4 * std::min(block_, o_.block); }
  Index count() const { return static_cast<Index>(chosen_.size()); }

  void start();
  void set_scale();
  void advance();
  void collect();
  bool take(const Step& step, Span<PanelNumbers> panels);
  void place(const PanelNumbers& panel, const Step& step, Index column, std::vector<double>& h);
  void see_rounding(const Step& step, const std::vector<double>& h);
  void extend_projection(const Step& step, const std::vector<double>& h);
  bool time_to_look() const;
  double residual(Index i) const;
  double error_of(Index k) const;
  void project();
  void look(bool stopped);
  std::vector<double> rows_of(const std::vector<Index>& which) const;
  std::vector<Index> wanted_of(const std::vector<double>& values, Index count) const {
    return near_ ? nearest(values, count, *near_) : wanted(values, count, o_.which);
  }
  void restart();
  EigenPairs<T> finish();

  // interior.cpp
  /// How many eigenvalues at the number the recurrence does not tell apart.
  double unresolved(const LanczosRecurrence& r) const;
  bool worth_projecting();
  bool too_dense(const LanczosRecurrence& r) const;
  bool found_between(const LanczosRecurrence& r) const;
  std::vector<double> points_between(const LanczosRecurrence& r, const Resolved& ritz) const;
  double chance_between(const LanczosRecurrence& r) const;

  // missing_values.cpp
  Inside inside_of_pairs() const;
  void end_with_pairs(bool stopped);
  bool spans_all_soon() const;
  bool beyond_is_impossible(const Inside& inside) const;
  void begin_search();
  LanczosRecurrence recurrence(Index first);
  /// An entry of t this small is rounding.
  double least_coupling() const {
    return std::max(10 * static_cast<double>(std::numeric_limits<T>::epsilon()) * out_.scale,
                    std::numeric_limits<double>::min());
  }
  bool found_beyond(const LanczosRecurrence& r) const;
  void look_for_missing(bool stopped);
  double chance_of_missing(const LanczosRecurrence& r) const;
  void report_search(const LanczosRecurrence& r);
  void resume(bool stopped);

  LinearOperator<T>& a_;
  const LanczosOptions& o_;
  std::optional<double> near_;
  Index n_, capacity_, widest_, block_ = 1, last_ = 0, looked_ = 0;
  bool wait_for_each_;  ///< step's coefficients
  Basis<T> basis_;
  PanelLog<T> log_;
  Buffer<double> scale_;          ///< [1] out_.scale where the device decides by it
  std::vector<Step> steps_;       ///< in the log
  std::vector<double> t_, leak_;  ///< [capacity][capacity]; [last][last]
  HostEigen ritz_;
  std::vector<Index> chosen_;
  Search search_;
  double dropped_ = 0;     ///< norm of what converged pairs leaked into rows that were given up
  Index last_first_ = 0;   ///< first row of the step before: a product's coefficients before it are rounding
  Index steps_since_ = 0;  ///< a restart
  double zeros_ = 0, zeros_seen_ = 0;  ///< sum of squares of coefficients that are zero but for rounding; their number
  EigenPairs<T> out_;
};

}  // namespace hso::detail
