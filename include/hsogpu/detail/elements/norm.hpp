// SPDX-License-Identifier: Apache-2.0
//
// Normalisation of groups of D numbers, u = (x - m) r with m the mean (0 for the root mean square form) and r = 1 /
// sqrt(mean((x - m)^2) + eps), and the scale and shift of channels behind it. x is [samples][groups][cols]: a group has
// one row of `cols` numbers in every sample, so that the rows of a single sample are groups by themselves (layer norm)
// and channels of a batch run through all its samples (batch norm). r is there for every row: 0 takes a row out. Sums
// over groups come from reductions, [lanes][groups].
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// to = (x - share sum)^2. Launch with (samples * groups) x cols.
template <class T>
struct CenteredSquare {
  const T* x;
  const T* sum;
  T* to;
  Index groups, cols;
  T share;  ///< 1 / D, or 0 where nothing is subtracted; 1 where means are given for sums
  HSO_HD Radix<2> radix() const { return {{groups}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index here = (at[1] * groups + at[0]) * cols;
    use(x + here, same(sum + at[0]), out(to + here, false));
  }
  HSO_HD void element(const T& xi, const T& total, T& result) const {
    const T d = xi - share * total;
    result = d * d;
  }
};

/// r[i] = 1 / sqrt(scale squares[i] + eps). Launch with 1 x rows.
template <class T>
struct InverseDeviation {
  const T* squares;
  T* r;
  T scale, eps;
  HSO_HD void rows(Index, const auto& use) const { use(squares, out(r, false)); }
  HSO_HD void element(const T& s, T& result) const { result = T(1) / std::sqrt(scale * s + eps); }
};

/// r[n][g] = 1 / sqrt(variance[g] + eps) where sample n counts, else 0. Launch with samples x groups.
template <class T>
struct RowDeviation {
  const T* variance;
  const T* share;  ///< [samples]: 0 where the sample does not count
  T* r;
  Index groups;
  T eps;
  HSO_HD void rows(Index n, const auto& use) const { use(variance, same(share + n), out(r + n * groups, false)); }
  HSO_HD void element(const T& v, const T& part, T& result) const {
    result = part > T(0) ? T(1) / std::sqrt(v + eps) : T(0);
  }
};

/// to[n] = 1 where weight[n] is not 0, else 0. Launch with 1 x samples.
template <class T>
struct CountedRows {
  const T* weight;
  T* to;
  HSO_HD void rows(Index, const auto& use) const { use(weight, out(to, false)); }
  HSO_HD void element(const T& w, T& result) const { result = w != T(0) ? T(1) : T(0); }
};

/// share[n] /= count cols: what each number of a sample has of a mean. Launch with 1 x samples.
template <class T>
struct RowShares {
  const T* count;
  T* share;
  T cols;
  HSO_HD void rows(Index, const auto& use) const { use(same(count), out(share, true)); }
  HSO_HD void element(const T& rows_that_count, T& result) const {
    result = rows_that_count > T(0) ? result / (rows_that_count * cols) : T(0);
  }
};

/// next = (1 - momentum) now + momentum x, of variances D / (D - 1) x, with D = count cols. Launch with 1 x groups.
template <class T>
struct RunningStatistic {
  const T* now;
  const T* x;
  const T* count;
  T* next;
  T momentum, cols;
  bool variance;
  HSO_HD void rows(Index, const auto& use) const { use(now, x, same(count), out(next, false)); }
  HSO_HD void element(const T& old, const T& found, const T& rows_that_count, T& result) const {
    const T d = rows_that_count * cols;
    const T unbiased = variance && d > T(1) ? found * (d / (d - T(1))) : found;
    result = (T(1) - momentum) * old + momentum * unbiased;
  }
};

/// u = (x - share sum) r. Launch with (samples * groups) x cols.
template <class T>
struct NormValue {
  const T* x;
  const T* sum;
  const T* deviation;
  T* u;
  Index groups, cols;
  T share;
  HSO_HD Radix<2> radix() const { return {{groups}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index row = at[1] * groups + at[0];
    use(x + row * cols, same(sum + at[0]), same(deviation + row), out(u + row * cols, false));
  }
  HSO_HD void element(const T& xi, const T& total, const T& inverse, T& result) const {
    result = (xi - share * total) * inverse;
  }
};

/// The Jacobian, which is symmetric: to (+)= r (v - share sum v - u sum(u v) / D). Launch with (lanes * samples *
/// groups) x cols.
template <class T>
struct NormFirst {
  const T* u;
  const T* deviation;
  const T* v;
  Index v_stride;
  const T* sum;      ///< sum v
  const T* product;  ///< sum u v
  T* to;
  Index to_stride, groups, samples, cols;
  T share, each;  ///< 1 / D or 0, and 1 / D; 1 where means are given for sums
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{groups, samples}}; }
  HSO_HD void rows(const Digits<3>& at, const auto& use) const {
    const Index row = at[1] * groups + at[0], here = row * cols, k = at[2] * groups + at[0];
    use(u + here, same(deviation + row), v + at[2] * v_stride + here, same(sum + k), same(product + k),
        out(to + at[2] * to_stride + here, accumulate));
  }
  HSO_HD void element(const T& ui, const T& inverse, const T& vi, const T& total, const T& along, T& result) const {
    store(&result, inverse * (vi - share * total - ui * (each * along)), accumulate);
  }
};

/// The derivative of NormFirst's map of dy along Rx, with Ru the tangent of u:
/// to (+)= -r^2 mean(u Rx) (dy - share sum dy - u mean(u dy)) - r (mean(u dy) Ru + u mean(Ru dy)).
template <class T>
struct NormSecond {
  const T* u;
  const T* deviation;
  const T* dy;
  const T* sum;      ///< of one lane: sum dy
  const T* product;  ///< of one lane: sum u dy
  const T* ru;
  Index ru_stride;
  const T* along;  ///< sum u Rx
  const T* bend;   ///< sum Ru dy
  T* to;
  Index to_stride, groups, samples, cols;
  T share, each;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{groups, samples}}; }
  HSO_HD void rows(const Digits<3>& at, const auto& use) const {
    const Index row = at[1] * groups + at[0], here = row * cols, k = at[2] * groups + at[0];
    use(u + here, same(deviation + row), dy + here, same(sum + at[0]), same(product + at[0]),
        ru + at[2] * ru_stride + here, same(along + k), same(bend + k), out(to + at[2] * to_stride + here, accumulate));
  }
  HSO_HD void element(const T& ui, const T& inverse, const T& dyi, const T& total, const T& with, const T& rui,
                      const T& a, const T& b, T& result) const {
    const T mean = each * with, first = inverse * (dyi - share * total - ui * mean);
    store(&result, -inverse * (each * a * first + mean * rui + ui * (each * b)), accumulate);
  }
};

/// y[row][c][i] (+)= w[c] x[row][c][i] + b[c], lanes of x or of w and b; a null of the three is left out by the
/// factors. Launch with (lanes * samples * channels) x run.
template <class T>
struct ScaleChannels {
  const T* x;
  Index x_stride;
  const T* w;
  Index w_stride;
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, channels, samples, run;
  T by_x, by_b;  ///< 1, or 0 where there is no product or no shift
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{channels, samples}}; }
  HSO_HD void rows(const Digits<3>& at, const auto& use) const {
    const Index here = (at[1] * channels + at[0]) * run;
    use(x + at[2] * x_stride + here, same(w + at[2] * w_stride + at[0]), same(b + at[2] * b_stride + at[0]),
        out(y + at[2] * y_stride + here, accumulate));
  }
  HSO_HD void element(const T& xi, const T& wi, const T& bi, T& result) const {
    store(&result, by_x * xi * wi + by_b * bi, accumulate);
  }
};

template <class T>
using NormOps = Types<CenteredSquare<T>, InverseDeviation<T>, RowDeviation<T>, CountedRows<T>, RowShares<T>,
                      RunningStatistic<T>, NormValue<T>, NormFirst<T>, NormSecond<T>, ScaleChannels<T>>;

}  // namespace hso::detail
