// SPDX-License-Identifier: Apache-2.0
//
// Networks over sequences [steps, features]: recurrent layers with every option; norms.
#include "support/cases.hpp"

namespace hso::test {
namespace {

/// layer -> flattened -> linear head; `out` are the numbers that the layer makes of a sample.
Net one_layer(const Extents& sample, const std::string& line, int out) {
  Net net;
  net.cross_entropy(net.dense(net.reshape(net.layer(net.input(sample), sample, line), {out}), out, 2, false));
  return net;
}

/// States that are read twice, above features that depend on parameters.
Net between_layers() {
  Net net;
  const int x = net.activation(net.dense(net.input({3, 2}), 2, 3), "tanh");
  const int h = net.layer(x, {3, 3}, "lstm hidden = 3, bias = false");
  const int y = net.sum(net.activation(net.dense(h, 3, 3, false), "tanh"), net.sum(h, x));
  net.cross_entropy(net.reshape(net.layer(y, {3, 3}, "rnn hidden = 2, last = true"), {2}));
  return net;
}

/// A norm between two layers; `line` has everything behind linear 4 -> [2, 4] or so.
Net norm_between(const std::string& line) {
  Net net;
  int h = net.dense(net.input({3, 2}), 2, 4);
  h = net.activation(net.layer(h, {3, 4}, line), "tanh");
  net.cross_entropy(net.dense(net.reshape(h, {12}), 12, 2, false));
  return net;
}

/// Norms of the input, of an image's channels, and before a loss.
Net norms_everywhere() {
  Net net;
  int h = net.layer(net.input({2, 3, 2}), {2, 3, 2}, "groupnorm groups = 1");
  h = net.activation(net.convolution(h, {4, 2, 2, 2}), "tanh");
  h = net.layer(net.layer(h, {4, 2, 1}, "groupnorm groups = 2, affine = false"), {4, 2, 1}, "groupnorm groups = 4");
  net.cross_entropy(net.layer(net.dense(net.reshape(h, {8}), 8, 3), {3}, "layernorm eps = 0.01"));
  return net;
}

/// The loss of a sequence: a class for each step.
Net classes_for_steps(const Extents& sample, const std::string& line, const Extents& shape, int classes = 3) {
  Net net;
  const int h = net.layer(net.input(sample), sample, line);
  net.finish(net.dense(h, shape[1], classes), Layer::Kind::cross_entropy, {shape[0]});
  return net;
}

/// Tokens to rows, positions added, `lines` of layers over [4, 4], a class for each step.
Net language(const std::vector<std::string>& lines) {
  Net net;
  int h = net.layer(net.layer(net.input({4}), {4}, "embedding count = 3, out = 4"), {4, 4}, "positions");
  for (const std::string& line : lines) h = net.layer(h, {4, 4}, line);
  net.finish(net.dense(h, 4, 3), Layer::Kind::cross_entropy, {4});
  return net;
}

Net small_transformer(const std::string& activation) {
  Net net;
  const int h = net.layer(net.input({3, 4}), {3, 4},
                          "transformer heads = 2, hidden = 2, causal = true, activation = \"" + activation + "\"");
  net.finish(net.dense(h, 4, 2), Layer::Kind::cross_entropy, {3});
  return net;
}

/// A layer over the signals [3, 7] that a convolution makes.
Net pooled(const std::string& line, int out) {
  Net net;
  const int h = net.activation(net.layer(net.input({2, 7}), {2, 7}, "conv1d out = 3, kernel = 3, padding = 1"), "tanh");
  net.cross_entropy(net.dense(net.reshape(net.layer(h, {3, 7}, line), {out}), out, 2, false));
  return net;
}

/// Attention over features that depend on parameters, and a softmax in the middle of a network.
Net attention_between() {
  Net net;
  int h = net.activation(net.dense(net.input({3, 2}), 2, 4), "tanh");
  h = net.sum(h, net.layer(h, {3, 4}, "multihead_attention heads = 2"));
  h = net.layer(net.dense(h, 4, 3, false), {3, 3}, "softmax");
  net.cross_entropy(net.dense(net.reshape(h, {9}), 9, 2, false));
  return net;
}

}  // namespace

void add_sequence_cases(std::vector<Case>& out) {
  out.push_back({"rnn", one_layer({4, 2}, "rnn hidden = 3", 12), 3, 501});
  out.push_back({"rnn_relu", one_layer({4, 2}, "rnn hidden = 3, nonlinearity = \"relu\"", 12), 3, 502, false});
  out.push_back({"lstm", one_layer({3, 2}, "lstm hidden = 3", 9), 3, 503});
  out.push_back({"gru", one_layer({3, 2}, "gru hidden = 3", 9), 3, 504});
  out.push_back({"lstm_no_bias", one_layer({4, 3}, "lstm hidden = 2, bias = false", 8), 2, 505});
  out.push_back({"gru_no_bias", one_layer({4, 3}, "gru hidden = 3, bias = false", 12), 2, 506});
  out.push_back({"lstm_last", one_layer({5, 1}, "lstm hidden = 2, last = true", 2), 4, 507});
  out.push_back({"gru_bidirectional", one_layer({3, 2}, "gru hidden = 2, bidirectional = true", 12), 3, 508});
  out.push_back(
      {"lstm_bidirectional_last", one_layer({3, 1}, "lstm hidden = 2, bidirectional = true, last = true", 4), 3, 509});
  out.push_back({"gru_stacked", one_layer({3, 2}, "gru hidden = 2, layers = 2, last = true", 2), 2, 510});
  out.push_back(
      {"rnn_stacked_bidirectional", one_layer({3, 2}, "rnn hidden = 2, layers = 2, bidirectional = true", 12), 2, 511});
  out.push_back({"lstm_one_step", one_layer({1, 3}, "lstm hidden = 2", 2), 3, 512});
  out.push_back({"gru_one_step_batch_of_one", one_layer({1, 3}, "gru hidden = 3", 3), 1, 513});
  out.push_back({"layernorm", norm_between("layernorm"), 3, 521});
  out.push_back({"layernorm_no_bias", norm_between("layernorm bias = false"), 3, 522});
  out.push_back({"layernorm_plain", norm_between("layernorm affine = false"), 3, 523});
  out.push_back({"rmsnorm", norm_between("rmsnorm eps = 0.001"), 3, 524});
  out.push_back({"groupnorm", norm_between("groupnorm groups = 3"), 3, 525});
  out.push_back({"norms_everywhere", norms_everywhere(), 3, 526});
  out.push_back({"sequence_loss", classes_for_steps({4, 2}, "rnn hidden = 3", {4, 3}), 3, 531});
  out.push_back({"sequence_loss_after_softmax", classes_for_steps({3, 2}, "softmax", {3, 2}), 4, 532});
  out.push_back({"embedding", classes_for_steps({4}, "embedding count = 6, out = 2", {4, 2}), 3, 533});
  out.push_back({"one_hot", classes_for_steps({4}, "one_hot count = 3", {4, 3}), 3, 534});
  out.push_back({"attention", attention_between(), 2, 535});
  out.push_back({"causal_attention", language({"multihead_attention heads = 2, causal = true, bias = false"}), 2, 536});
  out.push_back({"one_head", language({"multihead_attention heads = 1"}), 2, 537});
  out.push_back({"transformer", small_transformer("gelu"), 2, 538});
  out.push_back({"transformer_relu", small_transformer("relu"), 2, 539, false});
  out.push_back(
      {"conv1d", one_layer({4, 7}, "conv1d out = 6, kernel = 3, stride = 2, padding = 1, groups = 2", 24), 3, 541});
  out.push_back(
      {"conv1d_dilated", one_layer({2, 6}, "conv1d out = 3, kernel = 2, dilation = 3, bias = false", 9), 3, 542});
  out.push_back({"maxpool1d", pooled("maxpool1d kernel = 3, padding = 1", 9), 3, 543, false});
  out.push_back({"avgpool1d", pooled("avgpool1d kernel = 2, stride = 1", 18), 3, 544});
  out.push_back({"global_avgpool", pooled("global_avgpool", 3), 3, 545});
  out.push_back({"transpose", pooled("transpose", 21), 3, 546});
  out.push_back({"between_layers", between_layers(), 3, 514});
}

}  // namespace hso::test
