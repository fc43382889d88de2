// SPDX-License-Identifier: Apache-2.0
//
// Graphs that are not chains: residuals, one node in two places, shared and overlapping parameters, branches that lead
// nowhere, weights that are computed from parameters.
#include "support/cases.hpp"

namespace hso::test {
namespace {

Net residual() {
  Net net;
  int h = net.activation(net.dense(net.input({5}), 5, 4), "tanh");
  h = net.sum(h, net.activation(net.dense(h, 4, 4), "silu"));
  const int skip = h;
  h = net.activation(net.dense(h, 4, 4), "softplus");
  net.cross_entropy(net.dense(net.sum(h, skip), 4, 3));
  return net;
}

Net same_node_added() {
  Net net;
  const int h = net.activation(net.dense(net.input({4}), 4, 4), "tanh");
  net.cross_entropy(net.dense(net.sum(h, h), 4, 3));
  return net;
}

/// The input itself in a sum with what is computed from it: only one of the two has a tangent.
Net input_added() {
  Net net;
  const int x = net.input({4});
  const int h = net.sum(x, net.activation(net.dense(x, 4, 4), "gelu"));
  net.cross_entropy(net.dense(net.sum(h, x), 4, 3));
  return net;
}

/// One weight and one bias leaf used three times in a row.
Net reused_leaf() {
  Net net;
  int h = net.input({4});
  const int w = net.parameter({4, 4}), b = net.parameter({4});
  for (int i = 0; i < 3; ++i) h = net.activation(net.linear(h, w, b), "tanh");
  net.cross_entropy(net.dense(h, 4, 3));
  return net;
}

/// Slices that share entries: a second weight over the first one's memory, a bias inside both, a gap nobody uses.
Net overlapping_slices() {
  Net net;
  const int x = net.input({3});
  const int w1 = net.parameter_at({4, 3}, 0), b1 = net.parameter_at({4}, 5);
  const int h = net.activation(net.linear(x, w1, b1), "tanh");
  const int w2 = net.parameter_at({3, 4}, 2), b2 = net.parameter_at({3}, 20);
  net.cross_entropy(net.linear(h, w2, b2));
  return net;
}

/// A live branch that only feeds the output, a dead one, a parameter that nothing uses.
Net branches() {
  Net net;
  const int h = net.activation(net.dense(net.input({4}), 4, 4), "tanh");
  net.parameter({5});
  const int z = net.dense(h, 4, 3);
  net.activation(net.dense(h, 4, 2), "sigmoid");
  net.output = net.dense(net.activation(z, "sigmoid"), 3, 2);
  net.cross_entropy(z);
  return net;
}

/// The output comes behind the loss and reads what the loss reads.
Net output_behind_the_loss() {
  Net net;
  const int z = net.dense(net.activation(net.dense(net.input({4}), 4, 4), "tanh"), 4, 3);
  net.cross_entropy(z);
  net.output = net.activation(net.dense(z, 3, 2), "sigmoid");
  return net;
}

/// W = A B' from two thin factors, then through tanh: weights that are nodes without a batch.
Net computed_weight() {
  Net net;
  const int x = net.input({4});
  const int w = net.activation(net.linear(net.parameter({5, 2}), net.parameter({4, 2})), "tanh");
  const int h = net.activation(net.linear(x, w, net.parameter({5})), "sigmoid");
  net.cross_entropy(net.dense(h, 5, 3));
  return net;
}

/// A A' with one leaf as both factors, and T T' with one interior node as both.
Net gram_weight() {
  Net net;
  const int x = net.input({4});
  const int a = net.parameter({4, 3});
  int h = net.activation(net.linear(x, net.linear(a, a)), "tanh");
  const int t = net.activation(net.parameter({4, 2}), "sigmoid");
  h = net.activation(net.linear(h, net.linear(t, t), net.reshape(net.parameter({2, 2}), {4})), "tanh");
  net.cross_entropy(net.sum(h, net.linear(h, net.sum(net.parameter({4, 4}), net.linear(a, a)))));
  return net;
}

/// Reproduce the input with the encoder's own weight entries, read in another shape.
Net autoencoder() {
  Net net;
  const int x = net.input({5});
  const int w = net.parameter({2, 5});
  const int code = net.activation(net.linear(x, w, net.parameter({2})), "tanh");
  net.finish_against(net.linear(code, net.reshape(w, {5, 2}), net.parameter({5})), Layer::Kind::squared_error, x);
  return net;
}

/// reshape of reshape, one tensor under two shapes in a sum.
Net aliases() {
  Net net;
  int h = net.reshape(net.reshape(net.input({2, 3}), {3, 2}), {6});
  h = net.activation(net.dense(h, 6, 4), "tanh");
  const int square = net.reshape(h, {2, 2});
  const int rows = net.dense(square, 2, 2);
  h = net.sum(net.reshape(rows, {4}), net.reshape(net.reshape(square, {1, 4}), {4}));
  net.cross_entropy(h);
  return net;
}

/// Products of nodes with others and with themselves, of the batch and of parameters alone.
Net products() {
  Net net;
  const int x = net.input({4}), a = net.parameter({4, 4});
  const int w = net.product(a, net.activation(net.product(a, net.parameter({4, 4})), "tanh"));
  const int h = net.activation(net.linear(x, w, net.parameter({4})), "tanh");
  const int square = net.product(h, h);
  net.cross_entropy(net.dense(net.difference(net.product(square, net.dense(h, 4, 4)), net.product(h, x)), 4, 3));
  return net;
}

/// Parts along both axes, of one node and of several, read twice and put together with the input itself.
Net parts() {
  Net net;
  const int x = net.input({3, 2});
  const int h = net.activation(net.dense(x, 2, 4), "tanh");
  const int left = net.slice(h, 1, 0, 3), row = net.slice(left, 0, 1, 1), rows = net.slice(h, 0, 1, 2);
  const int all = net.concat({x, left, net.slice(h, 1, 2, 2)}, 1);
  const int y = net.concat({net.reshape(all, {21}), net.reshape(row, {3}), net.reshape(rows, {8})}, 0);
  net.cross_entropy(net.dense(y, 32, 2, false));
  return net;
}

/// Every elementary function where it is smooth; one sum for each sample against one number.
Net functions() {
  Net net;
  const int h = net.activation(net.dense(net.input({3}), 3, 4), "sigmoid");
  int y = net.function(net.function(h, "affine", 2), "log");
  for (const char* name : {"exp", "sqrt", "reciprocal"}) y = net.sum(y, net.function(net.function(h, "affine"), name));
  for (const char* name : {"sin", "cos", "atan"}) y = net.product(y, net.function(net.dense(h, 4, 4), name));
  net.finish(net.difference(net.total(y), net.total(net.product(h, h))), Layer::Kind::squared_error, {});
  return net;
}

}  // namespace

void add_wiring_cases(std::vector<Case>& out) {
  out.push_back({"residual", residual(), 3, 301});
  out.push_back({"same_node_added", same_node_added(), 3, 302});
  out.push_back({"input_added", input_added(), 3, 303});
  out.push_back({"reused_leaf", reused_leaf(), 3, 304});
  out.push_back({"overlapping_slices", overlapping_slices(), 4, 305});
  out.push_back({"branches", branches(), 3, 306});
  out.push_back({"output_behind_the_loss", output_behind_the_loss(), 3, 313});
  out.push_back({"computed_weight", computed_weight(), 4, 307});
  out.push_back({"gram_weight", gram_weight(), 3, 308});
  out.push_back({"autoencoder", autoencoder(), 4, 309});
  out.push_back({"aliases", aliases(), 3, 310});
  out.push_back({"products", products(), 3, 311});
  out.push_back({"functions", functions(), 4, 312});
  out.push_back({"parts", parts(), 2, 314});
}

}  // namespace hso::test
