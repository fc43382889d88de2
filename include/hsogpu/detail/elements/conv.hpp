// SPDX-License-Identifier: Apache-2.0
//
// What a convolution needs around its matrix products. Images are [n][channels][h][w]; the column matrix of m images is
// [channels kh kw][m oh ow], so that every product of the op is one wide GEMM.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

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
  HSO_HD void operator()(Index o, Index ox) const {
    const Index oy = o % g.oh, n = (o / g.oh) % images, row = o / (g.oh * images);
    const Index r = row % g.patch(), lane = row / g.patch();
    const Index kx = r % g.kw, ky = (r / g.kw) % g.kh, c = r / (g.kw * g.kh);
    const Index iy = oy * g.stride_h - g.pad_h + ky * g.dilation_h;
    const Index ix = ox * g.stride_w - g.pad_w + kx * g.dilation_w;
    const bool inside = iy >= 0 && iy < g.h && ix >= 0 && ix < g.w;
    const T value = x[lane * x_stride + n * g.image() + (inside ? (c * g.h + iy) * g.w + ix : 0)];
    cols[o * g.ow + ox] = inside ? value : T(0);
  }
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
  HSO_HD void operator()(Index o, Index ix) const {
    const Index iy = o % g.h, c = (o / g.h) % g.channels, n = (o / (g.h * g.channels)) % images;
    const Index lane = o / (g.h * g.channels * images);
    T sum = 0;
    for (Index ky = 0; ky < g.kh; ++ky) {
      const Index ty = iy + g.pad_h - ky * g.dilation_h;
      if (ty < 0 || ty % g.stride_h != 0 || ty / g.stride_h >= g.oh) continue;
      for (Index kx = 0; kx < g.kw; ++kx) {
        const Index tx = ix + g.pad_w - kx * g.dilation_w;
        if (tx < 0 || tx % g.stride_w != 0 || tx / g.stride_w >= g.ow) continue;
        const Index r = lane * g.patch() + (c * g.kh + ky) * g.kw + kx;
        sum += cols[((r * images + n) * g.oh + ty / g.stride_h) * g.ow + tx / g.stride_w];
      }
    }
    store(&dx[lane * dx_stride + n * g.image() + (c * g.h + iy) * g.w + ix], sum, accumulate);
  }
};

/// y[lane][n][channel][p] (+)= wide[lane][channel][n][p] for one group's channels.
/// Launch with (lanes * images * channels) x pixels.
template <class T>
struct WideToImages {
  const T* wide;
  T* y;
  Index y_stride, images, channels, pixels, image_stride;
  bool accumulate;
  HSO_HD void operator()(Index o, Index p) const {
    const Index c = o % channels, n = (o / channels) % images, lane = o / (channels * images);
    const T value = wide[((lane * channels + c) * images + n) * pixels + p];
    store(&y[lane * y_stride + n * image_stride + c * pixels + p], value, accumulate);
  }
};

/// wide[lane][channel][n][p] = y[lane][n][channel][p]. Launch with (lanes * images * channels) x pixels.
template <class T>
struct ImagesToWide {
  const T* y;
  T* wide;
  Index y_stride, images, channels, pixels, image_stride;
  HSO_HD void operator()(Index o, Index p) const {
    const Index c = o % channels, n = (o / channels) % images, lane = o / (channels * images);
    wide[((lane * channels + c) * images + n) * pixels + p] = y[lane * y_stride + n * image_stride + c * pixels + p];
  }
};

/// y[lane][n][c][p] (+)= b[lane][c]. Launch with (lanes * images * channels) x pixels.
template <class T>
struct AddToChannels {
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, images, channels, pixels;
  bool accumulate;
  HSO_HD void operator()(Index o, Index p) const {
    const Index c = o % channels, n = (o / channels) % images, lane = o / (channels * images);
    store(&y[lane * y_stride + (n * channels + c) * pixels + p], b[lane * b_stride + c], accumulate);
  }
};

}  // namespace hso::detail
