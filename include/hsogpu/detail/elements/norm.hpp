// SPDX-License-Identifier: Apache-2.0
//
// Normalisation of rows of D numbers, u = (x - m) r with m the mean (0 for the root mean square form) and r = 1 /
// sqrt(mean((x - m)^2) + eps), and the scale and shift of channels behind it. Sums over rows come from reductions;
// a_k stands for one number a row and lane.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// to[r][i] = (x[r][i] - share sum[r])^2. Launch with rows x D.
template <class T>
struct CenteredSquare {
  const T* x;
  const T* sum;
  T* to;
  Index cols;
  T share;  ///< 1 / D, or 0 where nothing is subtracted
  HSO_HD void rows(Index r, const auto& use) const { use(x + r * cols, same(sum + r), out(to + r * cols, false)); }
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

/// u[r][i] = (x[r][i] - share sum[r]) deviation[r]. Launch with rows x D.
template <class T>
struct NormValue {
  const T* x;
  const T* sum;
  const T* deviation;
  T* u;
  Index cols;
  T share;
  HSO_HD void rows(Index r, const auto& use) const {
    use(x + r * cols, same(sum + r), same(deviation + r), out(u + r * cols, false));
  }
  HSO_HD void element(const T& xi, const T& total, const T& inverse, T& result) const {
    result = (xi - share * total) * inverse;
  }
};

/// The Jacobian, which is symmetric: to (+)= r (v - share sum v - u sum(u v) / D). Launch with (lanes * rows) x D.
template <class T>
struct NormFirst {
  const T* u;
  const T* deviation;
  const T* v;
  Index v_stride;
  const T* sum;      ///< [lanes][rows]: sum v
  const T* product;  ///< [lanes][rows]: sum u v
  T* to;
  Index to_stride, lane_rows, cols;
  T share, each;  ///< 1 / D or 0; 1 / D
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index here = at[0] * cols, k = at[1] * lane_rows + at[0];
    use(u + here, same(deviation + at[0]), v + at[1] * v_stride + here, same(sum + k), same(product + k),
        out(to + at[1] * to_stride + here, accumulate));
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
  const T* sum;      ///< [rows]: sum dy
  const T* product;  ///< [rows]: sum u dy
  const T* ru;
  Index ru_stride;
  const T* along;  ///< [lanes][rows]: sum u Rx
  const T* bend;   ///< [lanes][rows]: sum Ru dy
  T* to;
  Index to_stride, lane_rows, cols;
  T share, each;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index here = at[0] * cols, k = at[1] * lane_rows + at[0];
    use(u + here, same(deviation + at[0]), dy + here, same(sum + at[0]), same(product + at[0]),
        ru + at[1] * ru_stride + here, same(along + k), same(bend + k), out(to + at[1] * to_stride + here, accumulate));
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
using NormOps =
    Types<CenteredSquare<T>, InverseDeviation<T>, NormValue<T>, NormFirst<T>, NormSecond<T>, ScaleChannels<T>>;

}  // namespace hso::detail
