// SPDX-License-Identifier: Apache-2.0
//
// What a convolution needs around its matrix products. Images are [n][channels][h][w]; the column matrix of m images is
// [channels kh kw][m oh ow], so that every product of the op is one wide GEMM.
#pragma once

#include "hsogpu/detail/elements/taps.hpp"

namespace hso::detail {

/// Geometry of one group: `channels` of the image's `image_channels`.
struct ConvGeometry {
  Index image_channels = 1, channels = 1, h = 1, w = 1;
  Index kh = 1, kw = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  Index oh = 1, ow = 1;
  HSO_HD Index patch() const { return channels * kh * kw; }
  HSO_HD Index pixels() const { return oh * ow; }
  HSO_HD Index image() const { return image_channels * h * w; }
};

/// cols[lane][c kh kw][n oy ox] = x[lane][n][c][oy sh - ph + kh dh][ox sw - pw + kw dw], 0 outside.
/// Launch with (lanes * patch * images * oh) x ow; `x` points at the group's first channel.
template <class T>
struct Im2Col {
  ConvGeometry g;
  const T* x;
  Index x_stride;
  T* cols;
  Index images;
  static constexpr bool accumulate = false, kCopiesRows = true;
  HSO_HD static constexpr T divisor() { return 1; }
  HSO_HD static constexpr Index taps() { return 1; }
  HSO_HD static constexpr Radix<2> kernel() { return {{1}}; }
  HSO_HD Radix<6> radix() const { return {{g.oh, images, g.kw, g.kh, g.channels}}; }  // oy, n, kx, ky, c, lane
  HSO_HD T* row(const Digits<6>& at) const {
    const Index r = ((at[5] * g.channels + at[4]) * g.kh + at[3]) * g.kw + at[2];
    return cols + ((r * images + at[1]) * g.oh + at[0]) * g.ow;
  }
  HSO_HD Tap<T> tap(const Digits<6>& at, const Digits<2>&) const {
    const Index iy = at[0] * g.stride_h - g.pad_h + at[3] * g.dilation_h, shift = at[2] * g.dilation_w - g.pad_w;
    const bool inside = iy >= 0 && iy < g.h;
    const T* image = x + at[5] * x_stride + at[1] * g.image() + (at[4] * g.h + (inside ? iy : 0)) * g.w;
    return {image, tap_range(inside ? g.ow : 0, g.stride_w, shift, g.w), g.stride_w, shift, 1, 0};
  }
  HSO_HD void operator()(const Digits<6>& at, Index ox) const { sum_taps<T>(*this, at, ox); }
};

/// The adjoint, gathered: dx[lane][n][c][iy][ix] (+)= sum over the (ky, kx) whose output sees this pixel.
/// Launch with (lanes * images * channels * h) x w.
template <class T>
struct Col2Im {
  ConvGeometry g;
  const T* cols;
  T* dx;
  Index dx_stride;
  Index images;
  bool accumulate;
  HSO_HD static constexpr T divisor() { return 1; }
  HSO_HD Index taps() const { return g.kh * g.kw; }
  HSO_HD Radix<2> kernel() const { return {{g.kw}}; }                    // kx, ky
  HSO_HD Radix<4> radix() const { return {{g.h, g.channels, images}}; }  // iy, c, n, lane
  HSO_HD T* row(const Digits<4>& at) const {
    return dx + at[3] * dx_stride + at[2] * g.image() + (at[1] * g.h + at[0]) * g.w;
  }
  HSO_HD Tap<T> tap(const Digits<4>& at, const Digits<2>& t) const {
    const Index oy = tap_source(at[0], g.pad_h, t[1], g.dilation_h, g.stride_h, g.oh);
    const Index r = at[3] * g.patch() + (at[1] * g.kh + t[1]) * g.kw + t[0], shift = t[0] * g.dilation_w - g.pad_w;
    const T* source = cols + ((r * images + at[2]) * g.oh + (oy < 0 ? 0 : oy)) * g.ow;
    return {source, tap_range(oy < 0 ? 0 : g.ow, g.stride_w, shift, g.w), 1, 0, g.stride_w, shift};
  }
  HSO_HD void operator()(const Digits<4>& at, Index ix) const { sum_taps<T>(*this, at, ix); }
};

/// y[lane][n][channel][p] (+)= wide[lane][channel][n][p] for one group's channels.
/// Launch with (lanes * images * channels) x pixels.
template <class T>
struct WideToImages {
  const T* wide;
  T* y;
  Index y_stride, images, channels, pixels, image_stride;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{channels, images}}; }
  HSO_HD void rows(const Digits<3>& at, const auto& use) const {
    const Index c = at[0], n = at[1], lane = at[2];
    use(wide + ((lane * channels + c) * images + n) * pixels,
        out(y + lane * y_stride + n * image_stride + c * pixels, accumulate));
  }
  HSO_HD void element(const T& from, T& to) const { store(&to, from, accumulate); }
};

/// wide[lane][channel][n][p] = y[lane][n][channel][p]. Launch with (lanes * images * channels) x pixels.
template <class T>
struct ImagesToWide {
  const T* y;
  T* wide;
  Index y_stride, images, channels, pixels, image_stride;
  HSO_HD Radix<3> radix() const { return {{channels, images}}; }
  HSO_HD void rows(const Digits<3>& at, const auto& use) const {
    const Index c = at[0], n = at[1], lane = at[2];
    use(y + lane * y_stride + n * image_stride + c * pixels,
        out(wide + ((lane * channels + c) * images + n) * pixels, false));
  }
  HSO_HD void element(const T& from, T& to) const { to = from; }
};

/// y[lane][n][c][p] (+)= b[lane][c]. Launch with (lanes * images * channels) x pixels.
template <class T>
struct AddToChannels {
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, images, channels, pixels;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{channels, images}}; }
  HSO_HD void rows(const Digits<3>& at, const auto& use) const {
    const Index c = at[0], n = at[1], lane = at[2];
    use(same(b + lane * b_stride + c), out(y + lane * y_stride + (n * channels + c) * pixels, accumulate));
  }
  HSO_HD void element(const T& from, T& to) const { store(&to, from, accumulate); }
};

template <class T>
using ConvOps = Types<Im2Col<T>, Col2Im<T>, WideToImages<T>, ImagesToWide<T>, AddToChannels<T>>;

}  // namespace hso::detail
