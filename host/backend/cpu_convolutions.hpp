// SPDX-License-Identifier: Apache-2.0
//
// Convolutions on a CPU without column matrices: image after image in the first-level cache, by the loops of
// convolution_kernels.hpp. Every result is summed in an order that does not depend on the number of threads.
#pragma once

#include "backend/convolution_kernels.hpp"
#include "hsogpu/core/context.hpp"
#include "hsogpu/detail/convolutions.hpp"

namespace hso::detail {

template <class T>
class CpuConvolutions : public Convolutions<T> {
 public:
  using typename Convolutions<T>::Terms;
  /// `scratch_bytes`: Ops::chunk_bytes.
  CpuConvolutions(Context& context, Index scratch_bytes,
                  const ConvolutionKernels<T>& kernels = convolution_kernels<T>().front())
      : scratch_bytes_(scratch_bytes), context_(context), kernels_(kernels) {}

  /// Layers whose weights and images stay in the second-level cache; larger ones are what matrix products are made for.
  bool takes(const ConvolutionSizes& s) const override;
  void convolve(const ConvolutionSizes& s, Terms terms, InLanes<const T> bias, ConvolutionResult<T> y) override;
  void spread(const ConvolutionSizes& s, Terms terms, ConvolutionResult<T> x) override;
  void correlate(const ConvolutionSizes& s, Terms terms, ConvolutionResult<T> w) override;

 protected:
  const Index scratch_bytes_;

 private:
  Context& context_;
  const ConvolutionKernels<T>& kernels_;
};

}  // namespace hso::detail
