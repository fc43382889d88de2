// SPDX-License-Identifier: Apache-2.0
//
// The innermost loops of convolutions, for the widest vectors of the processor that runs them. An image lies in memory
// with a border of zeros, so that one entry of the kernel meets all pixels of an output channel at one distance: the
// patch of an output is never written out. Pixels are numbered as they lie there, border included; what is computed
// for numbers that are no output is not used.
#pragma once

#include <cstdint>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

/// An entry of the kernel: how far its pixel lies from the output's, and its weight from that of the first entry.
struct Shift {
  std::int32_t pixel, weight;
};

/// y[r][p] = start[r] + sum_s w[r * w_row + shift_s.weight] x[p + shift_s.pixel], r < rows, p < vectors * width. Null
/// start: added to what is there.
template <class T>
struct ShiftedProducts {
  const T* x;
  const T* w;
  Index w_row;
  const Shift* shifts;
  Index count;
  const T* start;
  T* y;
  Index y_row;
};

/// w[r * w_row + s] += sum_n sum_p y[n][r][p] x[n][p + shifts[s].pixel], r < rows, s < shifts, p < length: a multiple
/// of the width.
template <class T>
struct ShiftedDots {
  const T* x;
  Index x_image;
  const T* y;
  Index y_row, y_image;
  Index length, images;
  const Shift* shifts;
  T* w;
  Index w_row;
};

template <class T>
struct ConvolutionKernels {
  const char* name;
  static constexpr Index kRows = 6, kVectors = 4;
  Index width;    ///< numbers of one vector
  Index vectors;  ///< at most kVectors: sums for kRows times as many vectors stay in registers
  void (*products[kRows][kVectors])(const ShiftedProducts<T>&);  ///< [rows - 1][vectors - 1]
  void (*dots[kRows][kVectors])(const ShiftedDots<T>&);          ///< [rows - 1][shifts - 1]
};

/// Those that this processor can run, the fastest first; never empty.
template <class T>
Span<const ConvolutionKernels<T>> convolution_kernels();

}  // namespace hso::detail
