// SPDX-License-Identifier: Apache-2.0
//
// Pooling. Adjoints gather: every input pixel sums over the windows that hold it, so nothing is written twice.
// Launch forward rules with (lanes * images * channels * oh) x ow, adjoints with (lanes * images * channels * h) x w.
#pragma once

#include "hsogpu/detail/elements/taps.hpp"

namespace hso::detail {

/// Positions [begin, end) along an axis.
struct PoolWindow {
  Index begin, end;
};

struct PoolAxis {
  Index in = 1, out = 1, kernel = 1, stride = 1, pad = 0;
  bool adaptive = false;  ///< windows [floor(o in / out), ceil((o + 1) in / out))
  HSO_HD Index begin(Index o) const {
    const Index b = adaptive ? axis_divide(o * in, out) : o * stride - pad;
    return b < 0 ? 0 : b;
  }
  HSO_HD Index end(Index o) const {
    const Index e = adaptive ? axis_divide((o + 1) * in + out - 1, out) : o * stride - pad + kernel;
    return e > in ? in : e;
  }
  HSO_HD PoolWindow window(Index o) const { return {begin(o), end(o)}; }
  /// The outputs whose window may hold input i: [first, last].
  HSO_HD Index first(Index i) const {
    if (adaptive) return axis_divide(i * out, in);
    const Index t = i + pad - kernel + 1;
    return t <= 0 ? 0 : axis_divide(t + stride - 1, stride);
  }
  HSO_HD Index last(Index i) const {
    const Index o = adaptive ? axis_divide((i + 1) * out + in - 1, in) - 1 : axis_divide(i + pad, stride);
    return o >= out ? out - 1 : o;
  }
  /// What an average divides by: PyTorch's count_include_pad = true (the padded extent), the true count when adaptive.
  HSO_HD Index count(Index o) const {
    if (adaptive) return end(o) - begin(o);
    const Index b = o * stride - pad, e = b + kernel;
    return (e > in + pad ? in + pad : e) - b;
  }
};

struct PoolGeometry {
  PoolAxis y, x;
  HSO_HD Index in() const { return y.in * x.in; }
  HSO_HD Index out() const { return y.out * x.out; }
};

/// y = max over the window, where[o] = its flat position in the image plane (the first one on ties). A NaN wins.
template <class T>
struct MaxPoolValue {
  PoolGeometry g;
  const T* x;
  T* y;
  std::int32_t* where;
  HSO_HD Radix<2> radix() const { return {{g.y.out}}; }
  HSO_HD void operator()(const Digits<2>& at, Index ox) const {
    const Index oy = at[0], plane = at[1], o = plane * g.y.out + oy;
    const T* image = x + plane * g.in();
    const PoolWindow rows = g.y.window(oy), columns = g.x.window(ox);
    Index best = rows.begin * g.x.in + columns.begin;
    T top = image[best];
    for (Index iy = rows.begin; iy < rows.end; ++iy)
      for (Index ix = columns.begin; ix < columns.end; ++ix) {
        const T v = image[iy * g.x.in + ix];
        const bool better = v > top || v != v;
        best = better ? iy * g.x.in + ix : best;
        top = better ? v : top;
      }
    y[o * g.x.out + ox] = top;
    where[o * g.x.out + ox] = static_cast<std::int32_t>(best);
  }
};

/// Ry[o] = Rx[where[o]]; `planes` = images * channels of one lane.
template <class T>
struct MaxPoolJvp {
  PoolGeometry g;
  const std::int32_t* where;
  const T* rx;
  Index rx_stride;
  T* ry;
  Index ry_stride, planes;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{g.y.out, planes}}; }
  HSO_HD void operator()(const Digits<3>& at, Index ox) const {
    const Index oy = at[0], plane = at[1], lane = at[2], me = plane * g.out() + oy * g.x.out + ox;
    store(&ry[lane * ry_stride + me], rx[lane * rx_stride + plane * g.in() + where[me]], accumulate);
  }
};

template <class T>
struct MaxPoolVjp {
  PoolGeometry g;
  const std::int32_t* where;
  const T* dy;
  Index dy_stride;
  T* dx;
  Index dx_stride, planes;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{g.y.in, planes}}; }
  HSO_HD void operator()(const Digits<3>& at, Index ix) const {
    const Index iy = at[0], plane = at[1], lane = at[2], me = iy * g.x.in + ix, base = plane * g.out();
    const Index bottom = g.y.last(iy), right = g.x.last(ix), left = g.x.first(ix);
    T sum = 0;
    for (Index oy = g.y.first(iy); oy <= bottom; ++oy)
      for (Index ox = left; ox <= right; ++ox) {
        const Index from = base + oy * g.x.out + ox;
        sum += where[from] == me ? dy[lane * dy_stride + from] : T(0);
      }
    store(&dx[lane * dx_stride + plane * g.in() + me], sum, accumulate);
  }
};

/// y = mean over the window, padding counted: forward and jvp of windows of one size.
template <class T>
struct BoxMean {
  PoolGeometry g;
  const T* x;
  Index x_stride;
  T* y;
  Index y_stride, planes;
  bool accumulate;
  HSO_HD T divisor() const { return static_cast<T>(taps()); }
  HSO_HD Index taps() const { return g.y.kernel * g.x.kernel; }
  HSO_HD Radix<2> kernel() const { return {{g.x.kernel}}; }      // kx, ky
  HSO_HD Radix<3> radix() const { return {{g.y.out, planes}}; }  // oy, plane, lane
  HSO_HD T* row(const Digits<3>& at) const { return y + at[2] * y_stride + at[1] * g.out() + at[0] * g.x.out; }
  HSO_HD Tap<T> tap(const Digits<3>& at, const Digits<2>& t) const {
    const Index shift = t[0] - g.x.pad, iy = at[0] * g.y.stride - g.y.pad + t[1];
    const bool inside = iy >= 0 && iy < g.y.in;
    const T* source = x + at[2] * x_stride + at[1] * g.in() + (inside ? iy : 0) * g.x.in;
    return {source, tap_range(inside ? g.x.out : 0, g.x.stride, shift, g.x.in), g.x.stride, shift, 1, 0};
  }
  HSO_HD void operator()(const Digits<3>& at, Index ox) const { sum_taps<T>(*this, at, ox); }
};

/// The adjoint of BoxMean.
template <class T>
struct BoxSpread {
  PoolGeometry g;
  const T* dy;
  Index dy_stride;
  T* dx;
  Index dx_stride, planes;
  bool accumulate;
  HSO_HD T divisor() const { return static_cast<T>(taps()); }
  HSO_HD Index taps() const { return g.y.kernel * g.x.kernel; }
  HSO_HD Radix<2> kernel() const { return {{g.x.kernel}}; }     // kx, ky
  HSO_HD Radix<3> radix() const { return {{g.y.in, planes}}; }  // iy, plane, lane
  HSO_HD T* row(const Digits<3>& at) const { return dx + at[2] * dx_stride + at[1] * g.in() + at[0] * g.x.in; }
  HSO_HD Tap<T> tap(const Digits<3>& at, const Digits<2>& t) const {
    const Index oy = tap_source(at[0], g.y.pad, t[1], 1, g.y.stride, g.y.out), shift = t[0] - g.x.pad;
    const T* source = dy + at[2] * dy_stride + at[1] * g.out() + (oy < 0 ? 0 : oy) * g.x.out;
    return {source, tap_range(oy < 0 ? 0 : g.x.out, g.x.stride, shift, g.x.in), 1, 0, g.x.stride, shift};
  }
  HSO_HD void operator()(const Digits<3>& at, Index ix) const { sum_taps<T>(*this, at, ix); }
};

/// The same for windows of unequal sizes (adaptive pooling).
template <class T>
struct AvgPoolValue {
  PoolGeometry g;
  const T* x;
  Index x_stride;
  T* y;
  Index y_stride, planes;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{g.y.out, planes}}; }
  HSO_HD void operator()(const Digits<3>& at, Index ox) const {
    const Index oy = at[0], plane = at[1], lane = at[2];
    const T* image = x + lane * x_stride + plane * g.in();
    const PoolWindow rows = g.y.window(oy), columns = g.x.window(ox);
    T sum = 0;
    for (Index iy = rows.begin; iy < rows.end; ++iy)
      for (Index ix = columns.begin; ix < columns.end; ++ix) sum += image[iy * g.x.in + ix];
    T* to = y + lane * y_stride + plane * g.out() + oy * g.x.out + ox;
    store(to, sum / static_cast<T>(g.y.count(oy) * g.x.count(ox)), accumulate);
  }
};

/// The adjoint of AvgPoolValue.
template <class T>
struct AvgPoolVjp {
  PoolGeometry g;
  const T* dy;
  Index dy_stride;
  T* dx;
  Index dx_stride, planes;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{g.y.in, planes}}; }
  HSO_HD void operator()(const Digits<3>& at, Index ix) const {
    const Index iy = at[0], plane = at[1], lane = at[2];
    const T* image = dy + lane * dy_stride + plane * g.out();
    const Index bottom = g.y.last(iy), right = g.x.last(ix), left = g.x.first(ix);
    T sum = 0;
    for (Index oy = g.y.first(iy); oy <= bottom; ++oy) {
      if (iy < g.y.begin(oy) || iy >= g.y.end(oy)) continue;
      for (Index ox = left; ox <= right; ++ox) {
        if (ix < g.x.begin(ox) || ix >= g.x.end(ox)) continue;
        sum += image[oy * g.x.out + ox] / static_cast<T>(g.y.count(oy) * g.x.count(ox));
      }
    }
    store(&dx[lane * dx_stride + plane * g.in() + iy * g.x.in + ix], sum, accumulate);
  }
};

template <class T>
using PoolOps =
    Types<MaxPoolValue<T>, MaxPoolJvp<T>, MaxPoolVjp<T>, BoxMean<T>, BoxSpread<T>, AvgPoolValue<T>, AvgPoolVjp<T>>;

}  // namespace hso::detail
