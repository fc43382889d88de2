// SPDX-License-Identifier: Apache-2.0
//
// The layers of language models for the plain interpreter, one scalar at a time (reference_layers.hpp calls them).
#pragma once

#include "support/reference_tensors.hpp"

namespace hso::test {

/// Rows of x [rows][in] through W [out][in] and b.
template <class S>
Tensor<S> each_row(const Tensor<S>& x, int out, const S* w, const S* b) {
  Tensor<S> y{{x.shape[0], out}, {}};
  for (int t = 0; t < x.shape[0]; ++t)
    for (const S& number : affine_of(w, b, out, &x.v[t * x.shape[1]], x.shape[1])) y.v.push_back(number);
  return y;
}

template <class S>
std::vector<S> softmax_of(const S* x, int seen, int all) {
  std::vector<S> p(static_cast<std::size_t>(all), S(0));
  S sum(0);
  for (int i = 0; i < seen; ++i) sum += exp(x[i]);
  for (int i = 0; i < seen; ++i) p[i] = exp(x[i]) / sum;
  return p;
}

/// x [steps][features] attends to itself: PyTorch's in_proj (queries, keys, values) and out_proj.
template <class S>
Tensor<S> attention_of(const LayerLine& line, const Tensor<S>& x, const S* const* parameters) {
  const int steps = x.shape[0], features = x.shape[1], heads = line.number("heads", 1), each = features / heads;
  const Tensor<S> qkv = each_row(x, 3 * features, parameters[0], parameters[1]);
  Tensor<S> mixed{{steps, features}, std::vector<S>(static_cast<std::size_t>(steps * features), S(0))};
  for (int h = 0; h < heads; ++h)
    for (int t = 0; t < steps; ++t) {
      const auto at = [&](int step, int part, int i) { return qkv.v[(step * 3 + part) * features + h * each + i]; };
      std::vector<S> scores;
      for (int s = 0; s < steps; ++s) {
        S dot(0);
        for (int i = 0; i < each; ++i) dot += at(t, 0, i) * at(s, 1, i);
        scores.push_back(dot * S(1 / std::sqrt(static_cast<double>(each))));
      }
      const auto p = softmax_of(scores.data(), line.flag("causal", false) ? t + 1 : steps, steps);
      for (int s = 0; s < steps; ++s)
        for (int i = 0; i < each; ++i) mixed.v[t * features + h * each + i] += p[s] * at(s, 2, i);
    }
  return each_row(mixed, features, parameters[2], parameters[3]);
}

template <class S>
Tensor<S> standardized_rows(const Tensor<S>& x, const S* w, const S* b) {
  Tensor<S> y = x;
  const int features = x.shape[1];
  for (int t = 0; t < x.shape[0]; ++t) {
    S mean(0), square(0);
    for (int i = 0; i < features; ++i) mean += x.v[t * features + i] / S(features);
    for (int i = 0; i < features; ++i) {
      const S d = x.v[t * features + i] - mean;
      square += d * d / S(features);
    }
    for (int i = 0; i < features; ++i)
      y.v[t * features + i] = w[i] * ((x.v[t * features + i] - mean) / sqrt(square + S(1e-5))) + b[i];
  }
  return y;
}

template <class S>
Tensor<S> transformer_of(const LayerLine& line, Tensor<S> x, Slices<S>& theta) {
  const int features = x.shape[1], hidden = line.number("hidden", 0);
  const S* attention[4] = {theta.take(3 * features * features), theta.take(3 * features),
                           theta.take(features * features), theta.take(features)};
  const S* w1 = theta.take(hidden * features);
  const S* b1 = theta.take(hidden);
  const S* w2 = theta.take(features * hidden);
  const S* b2 = theta.take(features);
  const S* scale1 = theta.take(features);
  const S* shift1 = theta.take(features);
  const S* scale2 = theta.take(features);
  const S* shift2 = theta.take(features);
  const Tensor<S> a = attention_of(line, standardized_rows(x, scale1, shift1), attention);
  for (std::size_t i = 0; i < x.v.size(); ++i) x.v[i] += a.v[i];
  Tensor<S> h = each_row(standardized_rows(x, scale2, shift2), hidden, w1, b1);
  for (S& u : h.v)
    u = line.is("activation", "relu") ? (plain(u) > 0 ? u : S(0))
                                      : u * S(0.5) * (S(1) + erf(u * S(0.70710678118654752440)));
  h = each_row(h, features, w2, b2);
  for (std::size_t i = 0; i < x.v.size(); ++i) x.v[i] += h.v[i];
  return x;
}

/// embedding, one_hot, positions, softmax, multihead_attention, transformer
template <class S>
Tensor<S> language_layer(const LayerLine& line, Tensor<S> x, Slices<S>& theta) {
  if (line.type == "transformer") return transformer_of(line, x, theta);
  const int rows = x.shape[0], width = x.shape.back();
  if (line.type == "multihead_attention") {
    const bool bias = line.flag("bias", true);
    const S* in = theta.take(3 * width * width);
    const S* in_bias = bias ? theta.take(3 * width) : nullptr;
    const S* out = theta.take(width * width);
    const S* parameters[4] = {in, in_bias, out, bias ? theta.take(width) : nullptr};
    return attention_of(line, x, parameters);
  }
  if (line.type == "positions") {
    const S* w = theta.take(rows * width);
    for (S& number : x.v) number += *w++;
    return x;
  }
  if (line.type == "softmax") {
    Tensor<S> y{x.shape, {}};
    for (std::size_t first = 0; first < x.v.size(); first += static_cast<std::size_t>(width))
      for (const S& p : softmax_of(&x.v[first], width, width)) y.v.push_back(p);
    return y;
  }
  const int tokens = line.number("count", 0), out = line.type == "one_hot" ? tokens : line.number("out", 0);
  const S* table = line.type == "one_hot" ? nullptr : theta.take(tokens * out);
  Tensor<S> y{x.shape, {}};
  y.shape.push_back(out);
  for (const S& token : x.v)
    for (int i = 0; i < out; ++i) {
      const int row = static_cast<int>(plain(token));
      y.v.push_back(table != nullptr ? table[row * out + i] : S(row == i ? 1 : 0));
    }
  return y;
}

}  // namespace hso::test
