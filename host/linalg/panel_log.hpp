// SPDX-License-Identifier: Apache-2.0
//
// What rows were before they joined a basis, in its terms. The coefficients stay in device memory, panel after panel,
// until the host reads all of them with one copy.
#pragma once

#include <algorithm>
#include <vector>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// Rows are orthonormalised in panels of 8, 4 and what is left.
inline Index panel_width(Index rows) { return rows >= kWidestPanel ? kWidestPanel : rows >= 4 ? 4 : rows; }
Index panel_count(Index rows);

/// Row j of the panel was sum_i a[i][j] (row i of the basis), i < against + width.
struct PanelNumbers {
  Index against = 0, width = 0;
  double product = 0;          ///< |A V'|^2 of the block that the panel begins
  std::vector<double> a;       ///< [against + width][width]
  std::vector<double> status;  ///< [width]: kRowFine, kRowImprecise or kRowNegligible
  bool fine() const {
    return std::ranges::all_of(status, [](double s) { return s == kRowFine; });
  }
};

template <class T>
class PanelLog {
 public:
  /// Room for `panels` panels of at most `width` rows, against at most `rows` rows.
  PanelLog(Context& context, Index panels, Index width, Index rows);
  static Index bytes(Index panels, Index width, Index rows);

  /// Device memory of one panel. W = V'(first + second R1) + (R R1)'Q, the two projections [against][width],
  /// R1 = before and R upper triangular [width][width].
  struct Places {
    T *first, *second;
    double *product, *status, *before, *r;
  };
  /// R1 = I for one row. `joins` false: the rows stay beside the basis, and r[j] is the square of what is left of row
  /// j.
  Places open(Index against, Index width, bool joins = true);
  /// Of the panel that is opened next.
  double* product() { return numbers_.data() + panels() * each_; }
  bool room(Index panels) const { return this->panels() + panels <= most_; }

  /// Forgets what was not read.
  void clear() {
    panels_.clear();
    used_ = 0;
  }
  /// All panels since the last read, which waits for the device.
  std::vector<PanelNumbers> read();

 private:
  struct Panel {
    Index against, width, at;  ///< at: the first of its coefficients
    bool joins;
  };
  Index panels() const { return static_cast<Index>(panels_.size()); }
  PanelNumbers numbers_of(const Panel& panel, const double* numbers, const double* coefficients) const;
  Context& context_;
  Index most_, width_, each_, used_ = 0;
  Buffer<T> coefficients_;
  Buffer<double> numbers_;  ///< [most][product, status, R1, R], then the coefficients in double
  std::vector<Panel> panels_;
  std::vector<double> host_;
};

}  // namespace hso::detail
