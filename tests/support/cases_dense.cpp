// SPDX-License-Identifier: Apache-2.0
//
// Plain feed-forward nets: every registered activation, every loss, odd sizes, batches of 1 and 33, depth.
#include "graph/activations.hpp"
#include "hsogpu/graph/graph.hpp"
#include "support/cases.hpp"

namespace hso::test {
namespace {

using Kind = Layer::Kind;

/// sizes[0] - sizes[1] - ... with one activation between; returns the position of the last linear layer.
int mlp(Net& net, int x, const Extents& sizes, const std::string& activation, double number = -1) {
  for (std::size_t i = 1; i < sizes.size(); ++i) {
    if (i > 1) x = net.activation(x, activation, number);
    x = net.dense(x, sizes[i - 1], sizes[i]);
  }
  return x;
}

Net mlp_net(const Extents& sizes, const std::string& activation, Kind loss, double number = -1) {
  Net net;
  const int z = mlp(net, net.input({sizes[0]}), sizes, activation, number);
  net.finish(z, loss, loss == Kind::cross_entropy ? Extents{} : Extents{sizes.back()});
  return net;
}

bool is_smooth(const std::string& activation) { return !detail::has_kink(parse_activation(activation)); }

Net deep_net() {
  Net net;
  int h = net.input({4});
  const Extents sizes{4, 5, 5, 4, 3};
  const char* names[] = {"tanh", "gelu", "silu"};
  for (std::size_t i = 1; i < sizes.size(); ++i) {
    h = net.dense(h, sizes[i - 1], sizes[i]);
    if (i + 1 < sizes.size()) h = net.activation(h, names[i - 1]);
  }
  net.cross_entropy(h);
  return net;
}

/// [6] seen as three rows of two, a linear layer over the last axis, back to [9] without a bias.
Net rows_net() {
  Net net;
  int h = net.reshape(net.input({6}), {3, 2});
  h = net.activation(net.dense(h, 2, 3), "tanh");
  h = net.dense(net.reshape(h, {9}), 9, 3, false);
  net.cross_entropy(h);
  return net;
}

/// The last layer works over the last axis of [3, 2], and its loss reads all six numbers: its bias is no row of theirs.
Net rows_into_loss(Kind loss) {
  Net net;
  const int h = net.activation(net.dense(net.reshape(net.input({6}), {3, 2}), 2, 4), "tanh");
  net.finish(net.reshape(net.dense(h, 4, 2), {6}), loss, loss == Kind::cross_entropy ? Extents{} : Extents{6});
  return net;
}

Net dropout_net() {
  Net net;
  int h = net.dropout(net.input({5}), 0.25, 11);
  h = net.activation(net.dense(h, 5, 6), "tanh");
  h = net.activation(net.dense(net.dropout(h, 0.5, 11), 6, 4), "sigmoid");
  net.cross_entropy(net.dense(net.dropout(h, 0.3, 12), 4, 3));
  return net;
}

}  // namespace

void add_dense_cases(std::vector<Case>& out) {
  std::uint64_t seed = 100;
  for (const std::string& name : activation_names())
    out.push_back({"mlp_" + name, mlp_net({5, 6, 3}, name, Kind::cross_entropy), 4, ++seed, is_smooth(name)});
  out.push_back({"leaky_relu_slope", mlp_net({4, 5, 3}, "leaky_relu", Kind::squared_error, 0.3), 3, 201, false});
  out.push_back({"elu_alpha", mlp_net({4, 5, 3}, "elu", Kind::cross_entropy, 0.4), 3, 202, false});
  out.push_back({"softmax_regression", mlp_net({7, 4}, "", Kind::cross_entropy), 5, 203});
  out.push_back({"huber", mlp_net({4, 5, 3}, "tanh", Kind::huber), 4, 205, false});
  out.push_back({"linear_regression", mlp_net({3, 2}, "", Kind::squared_error), 5, 204});
  out.push_back({"squared_error_tanh", mlp_net({5, 4, 3}, "tanh", Kind::squared_error), 3, 205});
  out.push_back({"bce_softplus", mlp_net({5, 4, 3}, "softplus", Kind::bce), 4, 206});
  out.push_back({"bce_one_output", mlp_net({4, 5, 1}, "gelu", Kind::bce), 6, 207});
  out.push_back({"batch_of_one", mlp_net({6, 5, 4}, "sigmoid", Kind::cross_entropy), 1, 208});
  out.push_back({"batch_of_33", mlp_net({3, 3, 2}, "silu", Kind::cross_entropy), 33, 209});
  out.push_back({"wide_input", mlp_net({35, 2, 3}, "tanh", Kind::cross_entropy), 2, 210});
  out.push_back({"one_number_wide", mlp_net({1, 1, 1}, "tanh", Kind::squared_error), 2, 211});
  out.push_back({"deep", deep_net(), 3, 212});
  out.push_back({"rows", rows_net(), 3, 213});
  out.push_back({"rows_into_cross_entropy", rows_into_loss(Kind::cross_entropy), 3, 216});
  out.push_back({"rows_into_squared_error", rows_into_loss(Kind::squared_error), 3, 217});
  out.push_back({"dropout_training", dropout_net(), 4, 214, true, true});
  out.push_back({"dropout_evaluation", dropout_net(), 4, 215});
}

}  // namespace hso::test
