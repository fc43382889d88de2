// SPDX-License-Identifier: Apache-2.0
//
// Images with a border of zeros, as the loops of convolution_kernels.hpp read them. With a stride, pixels that the same
// entry of a kernel meets lie side by side: [channel][phase_y][phase_x][rows][columns], where pixel (y, x) of the
// bordered image is in phase (y mod stride, x mod stride).
#pragma once

#include <algorithm>
#include <cstring>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

/// rows x columns numbers from and to places that far apart.
struct Grid {
  Index rows, columns, from_y, from_x, to_y, to_x;
};
template <class T>
void copy_grid(const Grid& g, const T* from, T* to, bool accumulate) {
  for (Index i = 0; i < g.rows; ++i, from += g.from_y, to += g.to_y) {
    if (accumulate)
      for (Index j = 0; j < g.columns; ++j) to[j * g.to_x] += from[j * g.from_x];
    else if (g.from_x == 1 && g.to_x == 1)
      std::memcpy(to, from, static_cast<std::size_t>(g.columns) * sizeof(T));
    else
      for (Index j = 0; j < g.columns; ++j) to[j * g.to_x] = from[j * g.from_x];
  }
}

/// `in` pixels behind `before` zeros, as `length` positions of each phase.
struct BorderedAxis {
  Index in, before, stride, length;
  /// Positions [first, last) of a phase hold pixels, the first of them `pixel`.
  Index first(Index phase) const { return std::max<Index>(0, (before - phase + stride - 1) / stride); }
  Index last(Index phase) const { return (before + in - phase + stride - 1) / stride; }
  Index count(Index phase) const { return std::max<Index>(0, last(phase) - first(phase)); }
  Index pixel(Index phase) const { return first(phase) * stride + phase - before; }
};

struct BorderedImage {
  BorderedAxis y, x;
  Index channels;
  Index phase_size() const { return y.length * x.length; }
  Index channel_size() const { return y.stride * x.stride * phase_size(); }
  Index size() const { return channels * channel_size(); }
  /// Where pixel (i, j) of the bordered image lies within its channel.
  Index place(Index i, Index j) const {
    return (i % y.stride * x.stride + j % x.stride) * phase_size() + i / y.stride * x.length + j / x.stride;
  }
};

/// The pixels of image [channels][in][in]; zeros around them are there already.
template <class T>
void lay_out(const BorderedImage& b, const T* image, T* to) {
  for (Index c = 0; c < b.channels; ++c, image += b.y.in * b.x.in)
    for (Index v = 0; v < b.y.stride; ++v)
      for (Index u = 0; u < b.x.stride; ++u, to += b.phase_size())
        copy_grid({b.y.count(v), b.x.count(u), b.y.stride * b.x.in, b.x.stride, b.x.length, 1},
                  image + b.y.pixel(v) * b.x.in + b.x.pixel(u), to + b.y.first(v) * b.x.length + b.x.first(u), false);
}

}  // namespace hso::detail
