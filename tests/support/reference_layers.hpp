// SPDX-License-Identifier: Apache-2.0
//
// Layers for the plain interpreter (reference_net.hpp), from the line that a TOML file would have for them, such as
// "lstm hidden = 3, last = true": PyTorch's definitions, one scalar at a time. Shares no code with the library.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "support/reference_attention.hpp"
#include "support/reference_signal.hpp"
#include "support/reference_tensors.hpp"

namespace hso::test {

/// The states [steps][hidden] of a cell from zeros: a [steps][gates hidden], w [gates hidden][hidden], b may be null.
template <class S>
Tensor<S> states_of(const std::string& cell, const Tensor<S>& a, const S* w, const S* b, int h, bool reversed) {
  const int steps = a.shape[0], rows = a.shape[1];
  Tensor<S> y{{steps, h}, std::vector<S>(static_cast<std::size_t>(steps * h))};
  std::vector<S> state(static_cast<std::size_t>(h), S(0)), c = state;
  for (int s = 0; s < steps; ++s) {
    const int t = reversed ? steps - 1 - s : s;
    const auto p = affine_of(w, b, rows, state.data(), h);
    for (int j = 0; j < h; ++j) {
      const auto in = [&](int gate) { return a.v[t * rows + gate * h + j]; };
      const auto both = [&](int gate) { return in(gate) + p[gate * h + j]; };
      if (cell == "lstm") {
        c[j] = sigmoid_of(both(1)) * c[j] + sigmoid_of(both(0)) * tanh(both(2));
        state[j] = sigmoid_of(both(3)) * tanh(c[j]);
      } else if (cell == "gru") {
        const S r = sigmoid_of(both(0)), z = sigmoid_of(both(1)), n = tanh(in(2) + r * p[2 * h + j]);
        state[j] = (S(1) - z) * n + z * state[j];
      } else if (cell == "rnn_relu") {
        state[j] = plain(both(0)) > 0 ? both(0) : S(0);
      } else {
        state[j] = tanh(both(0));
      }
      y.v[t * h + j] = state[j];
    }
  }
  return y;
}

/// Those of one direction of one layer.
template <class S>
Tensor<S> direction_of(const LayerLine& line, const Tensor<S>& x, Slices<S>& theta, bool reversed) {
  const int steps = x.shape[0], in = x.shape[1], h = line.number("hidden", 0);
  const int rows = (line.type == "lstm" ? 4 : line.type == "gru" ? 3 : 1) * h;
  const bool bias = line.flag("bias", true);
  const S* w_ih = theta.take(rows * in);
  const S* w_hh = theta.take(rows * h);
  const S* b_ih = bias ? theta.take(rows) : nullptr;
  const S* b_hh = bias ? theta.take(rows) : nullptr;
  Tensor<S> a{{steps, rows}, {}};
  for (int t = 0; t < steps; ++t)
    for (const S& number : affine_of(w_ih, b_ih, rows, &x.v[t * in], in)) a.v.push_back(number);
  const std::string cell = line.type != "rnn" ? line.type : line.is("nonlinearity", "relu") ? "rnn_relu" : "rnn_tanh";
  return states_of(cell, a, w_hh, b_hh, h, reversed);
}

/// Side by side along the last axis.
template <class S>
Tensor<S> beside(const Tensor<S>& a, const Tensor<S>& b) {
  const int rows = a.shape[0], wa = a.shape[1], wb = b.shape[1];
  Tensor<S> y{{rows, wa + wb}, {}};
  for (int r = 0; r < rows; ++r) {
    y.v.insert(y.v.end(), a.v.begin() + r * wa, a.v.begin() + (r + 1) * wa);
    y.v.insert(y.v.end(), b.v.begin() + r * wb, b.v.begin() + (r + 1) * wb);
  }
  return y;
}

template <class S>
Tensor<S> row_of(const Tensor<S>& x, int row) {
  const int w = x.shape[1];
  return {{1, w}, {x.v.begin() + row * w, x.v.begin() + (row + 1) * w}};
}

template <class S>
Tensor<S> recurrent_stack(const LayerLine& line, Tensor<S> x, Slices<S>& theta) {
  const int layers = line.number("layers", 1), steps = x.shape[0];
  const bool last = line.flag("last", false), both = line.flag("bidirectional", false);
  for (int layer = 0; layer < layers; ++layer) {
    Tensor<S> forward = direction_of(line, x, theta, false), backward;
    if (both) backward = direction_of(line, x, theta, true);
    if (last && layer + 1 == layers) {
      forward = row_of(forward, steps - 1);
      if (both) backward = row_of(backward, 0);
    }
    x = both ? beside(forward, backward) : forward;
  }
  if (last) x.shape.erase(x.shape.begin());
  return x;
}

/// layernorm, rmsnorm: rows along the last `size` numbers. groupnorm: rows are groups of channels with their positions.
template <class S>
Tensor<S> normalized(const LayerLine& line, Tensor<S> x, Slices<S>& theta) {
  const int all = count(x.shape), run = line.type == "groupnorm" ? all / x.shape[0] : 1;
  const int row = line.type == "groupnorm" ? all / line.number("groups", 1) : line.number("size", x.shape.back());
  const int channels = line.type == "groupnorm" ? x.shape[0] : row;
  const bool affine = line.flag("affine", true), bias = affine && line.flag("bias", line.type != "rmsnorm");
  const double eps = line.options.count("eps") != 0 ? std::stod(line.options.at("eps")) : 1e-5;
  const S* w = affine ? theta.take(channels) : nullptr;
  const S* b = bias ? theta.take(channels) : nullptr;
  for (int first = 0; first < all; first += row) {
    S mean(0), square(0);
    for (int i = first; i < first + row && line.type != "rmsnorm"; ++i) mean += x.v[i] / S(row);
    for (int i = first; i < first + row; ++i) square += (x.v[i] - mean) * (x.v[i] - mean) / S(row);
    for (int i = first; i < first + row; ++i) x.v[i] = (x.v[i] - mean) / sqrt(square + S(eps));
  }
  for (int i = 0; i < all; ++i) {
    const int channel = i / run % channels;
    if (affine) x.v[i] = w[channel] * x.v[i];
    if (bias) x.v[i] += b[channel];
  }
  return x;
}

/// batchnorm over all samples together; with running statistics, of mean 0 and variance 1, each by itself.
template <class S>
void batch_normalize(const LayerLine& line, const std::vector<Tensor<S>*>& samples, bool running, Slices<S>& theta) {
  const int channels = samples[0]->shape[0], run = count(samples[0]->shape) / channels;
  const bool affine = line.flag("affine", true);
  const double eps = line.options.count("eps") != 0 ? std::stod(line.options.at("eps")) : 1e-5;
  const S* w = affine ? theta.take(channels) : nullptr;
  const S* b = affine ? theta.take(channels) : nullptr;
  const S numbers(static_cast<double>(samples.size()) * run);
  for (int c = 0; c < channels; ++c) {
    S mean(0), variance(running ? 1 : 0);
    const auto each = [&](const auto& body) {
      for (Tensor<S>* x : samples)
        for (int i = c * run; i < (c + 1) * run; ++i) body(x->v[i]);
    };
    if (!running) {
      each([&](S& x) { mean += x / numbers; });
      each([&](S& x) { variance += (x - mean) * (x - mean) / numbers; });
    }
    each([&](S& x) {
      x = (x - mean) / sqrt(variance + S(eps));
      if (affine) x = w[c] * x + b[c];
    });
  }
}

/// The layer's output, from the tensors that `theta` begins with.
template <class S>
Tensor<S> layer_output(const std::string& text, const Tensor<S>& x, Slices<S>& theta) {
  const LayerLine line(text);
  if (line.type == "rnn" || line.type == "lstm" || line.type == "gru") return recurrent_stack(line, x, theta);
  if (line.type.starts_with("batchnorm")) {
    Tensor<S> y = x;
    batch_normalize(line, {&y}, true, theta);
    return y;
  }
  if (line.type.ends_with("norm")) return normalized(line, x, theta);
  for (const char* type : {"conv1d", "maxpool1d", "avgpool1d", "global_avgpool", "transpose"})
    if (line.type == type) return signal_layer(line, x, theta);
  for (const char* type : {"embedding", "one_hot", "positions", "softmax", "multihead_attention", "transformer"})
    if (line.type == type) return language_layer(line, x, theta);
  throw std::logic_error("the reference interpreter has no layer " + line.type + ": add it");
}

}  // namespace hso::test
