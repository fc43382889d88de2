// SPDX-License-Identifier: Apache-2.0
//
// The three products of a convolution as verbs of their own. The Ops<T> of a backend that does them better than by
// column matrices is a Convolutions<T> too; where it is none, or does not take the sizes, columns and gemm serve.
#pragma once

#include "hsogpu/detail/elements/conv.hpp"

namespace hso::detail {

/// Images are [image][groups * channels][h][w], outputs [image][groups * out][oh][ow], weights [groups * out][patch].
struct ConvolutionSizes {
  ConvGeometry g;
  Index groups, out, images, lanes;  ///< out: channels of one group
};

/// Lane k at data + k * stride: 0 is one for all lanes.
template <class T>
struct InLanes {
  T* data = nullptr;
  Index stride = 0;
  T* lane(Index k) const { return data + k * stride; }
};

template <class T>
struct ConvolutionResult {
  InLanes<T> to;
  bool accumulate;
};

/// Two operands of a product that is added to others: at most kMost of them, since a product has two tangents.
template <class T>
struct ConvolutionTerm {
  static constexpr std::size_t kMost = 2;
  InLanes<const T> a, b;
};

/// Every call has one term or more.
template <class T>
class Convolutions {
 public:
  using Terms = Span<const ConvolutionTerm<T>>;
  virtual ~Convolutions() = default;
  virtual bool takes(const ConvolutionSizes& sizes) const = 0;
  /// y_k (+)= bias_k + sum of W_k * x_k over terms {x, W}; no bias where it is null.
  virtual void convolve(const ConvolutionSizes& sizes, Terms terms, InLanes<const T> bias, ConvolutionResult<T> y) = 0;
  /// x_k (+)= the adjoint of that in x, of terms {dy, W}.
  virtual void spread(const ConvolutionSizes& sizes, Terms terms, ConvolutionResult<T> x) = 0;
  /// W_k (+)= the adjoint of that in W, of terms {dy, x}.
  virtual void correlate(const ConvolutionSizes& sizes, Terms terms, ConvolutionResult<T> w) = 0;
};

}  // namespace hso::detail
