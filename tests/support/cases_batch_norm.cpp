// SPDX-License-Identifier: Apache-2.0
//
// Networks whose rows depend on each other in training, and the same with running statistics.
#include "support/cases.hpp"

namespace hso::test {
namespace {

Net between_convolutions(const std::string& options) {
  Net net;
  int h = net.convolution(net.input({2, 3, 3}), {3, 2, 2, 2}, {.padding = {1, 1}}, false);
  h = net.activation(net.layer(h, {3, 4, 4}, "batchnorm2d" + options), "tanh");
  h = net.convolution(h, {2, 3, 2, 2}, {.stride = {2, 2}});
  h = net.layer(h, {2, 2, 2}, "batchnorm2d affine = false, eps = 0.01");
  net.cross_entropy(net.dense(net.reshape(h, {8}), 8, 3, false));
  return net;
}

/// Of features, before and behind a nonlinear layer.
Net of_features() {
  Net net;
  int h = net.layer(net.dense(net.input({3}), 3, 4, false), {4}, "batchnorm1d");
  h = net.layer(net.dense(net.activation(h, "tanh"), 4, 3), {3}, "batchnorm1d eps = 0.001");
  net.cross_entropy(h);
  return net;
}

/// Of the input itself, and of signals that go on past it.
Net of_signals() {
  Net net;
  const int x = net.layer(net.input({2, 7}), {2, 7}, "batchnorm1d");
  int h = net.activation(net.layer(x, {2, 7}, "conv1d out = 2, kernel = 3, padding = 1"), "tanh");
  h = net.sum(h, net.layer(h, {2, 7}, "batchnorm1d"));
  net.finish(net.dense(net.reshape(h, {14}), 14, 2), Layer::Kind::squared_error, {2});
  return net;
}

}  // namespace

void add_batch_norm_cases(std::vector<Case>& out) {
  out.push_back({"batchnorm2d", between_convolutions(""), 3, 601, true, true});
  out.push_back({"batchnorm2d_eval", between_convolutions(" eps = 0.1"), 3, 602});
  out.push_back({"batchnorm1d", of_features(), 5, 603, true, true});
  out.push_back({"batchnorm1d_eval", of_features(), 5, 604});
  out.push_back({"batchnorm1d_signals", of_signals(), 3, 605, true, true});
  out.push_back({"batchnorm1d_signals_batch_of_one", of_signals(), 1, 606, true, true});
}

}  // namespace hso::test
