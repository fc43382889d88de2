// SPDX-License-Identifier: Apache-2.0
//
// Layers over signals [channels, length] for the plain interpreter, one scalar at a time (reference_layers.hpp calls
// them).
#pragma once

#include <algorithm>

#include "support/reference_tensors.hpp"

namespace hso::test {

/// conv1d, maxpool1d, avgpool1d, global_avgpool, transpose
template <class S>
Tensor<S> signal_layer(const LayerLine& line, const Tensor<S>& x, Slices<S>& theta) {
  const int channels = x.shape[0], length = x.shape[1];
  const auto at = [&](int channel, int i) { return x.v[channel * length + i]; };
  Tensor<S> y;
  if (line.type == "transpose") {
    y.shape = {length, channels};
    for (int i = 0; i < length; ++i)
      for (int c = 0; c < channels; ++c) y.v.push_back(at(c, i));
    return y;
  }
  const int kernel = line.type == "global_avgpool" ? length : line.number("kernel", 0);
  const int padding = line.number("padding", 0), dilation = line.number("dilation", 1);
  const int stride = line.number("stride", line.type == "conv1d" ? 1 : kernel);
  const int steps = (length + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  const auto inside = [&](int i) { return i >= 0 && i < length; };
  if (line.type != "conv1d") {
    y.shape = line.type == "global_avgpool" ? Extents{channels} : Extents{channels, steps};
    for (int c = 0; c < channels; ++c)
      for (int t = 0; t < steps; ++t) {
        S sum(0), most(-1e30);
        for (int k = 0; k < kernel; ++k)
          if (const int i = t * stride - padding + k; inside(i)) {
            sum += at(c, i);
            if (plain(at(c, i)) > plain(most)) most = at(c, i);
          }
        y.v.push_back(line.type == "maxpool1d" ? most : sum / S(static_cast<double>(kernel)));
      }
    return y;
  }
  const int out = line.number("out", 0), groups = line.number("groups", 1), in = channels / groups;
  const S* w = theta.take(out * in * kernel);
  const S* b = line.flag("bias", true) ? theta.take(out) : nullptr;
  y.shape = {out, steps};
  for (int o = 0; o < out; ++o)
    for (int t = 0; t < steps; ++t) {
      S sum = b != nullptr ? b[o] : S(0);
      for (int c = 0; c < in; ++c)
        for (int k = 0; k < kernel; ++k)
          if (const int i = t * stride - padding + k * dilation; inside(i))
            sum += at(o / (out / groups) * in + c, i) * w[(o * in + c) * kernel + k];
      y.v.push_back(sum);
    }
  return y;
}

}  // namespace hso::test
