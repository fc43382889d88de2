// SPDX-License-Identifier: Apache-2.0
//
// Convolution with every option, and pooling of every kind.
#include "support/cases.hpp"

namespace hso::test {
namespace {

/// input -> conv -> activation -> linear head on `flat` numbers.
Net one_convolution(const Extents& image, const Extents& weight, const ConvOptions& options, int flat, bool bias = true,
                    const std::string& activation = "tanh") {
  Net net;
  int h = net.activation(net.convolution(net.input(image), weight, options, bias), activation);
  h = net.reshape(h, {flat});
  net.cross_entropy(net.dense(h, flat, 2, false));
  return net;
}

enum class Pool { max, average, adaptive };

/// conv 3x3 (padding 1) on [1, 5, 6] -> tanh -> pool -> linear head.
Net one_pool(Pool kind, const PoolOptions& options, int out_h, int out_w) {
  Net net;
  int h = net.activation(net.convolution(net.input({1, 5, 6}), {2, 1, 3, 3}, {.padding = {1, 1}}), "tanh");
  if (kind == Pool::max) h = net.maxpool2d(h, options);
  if (kind == Pool::average) h = net.avgpool2d(h, options);
  if (kind == Pool::adaptive) h = net.adaptive_avgpool2d(h, out_h, out_w);
  h = net.reshape(h, {2 * out_h * out_w});
  net.cross_entropy(net.dense(h, 2 * out_h * out_w, 2));
  return net;
}

/// Two convolutions with one kernel, a residual between, and average pooling to one number for each channel.
Net residual_convolution() {
  Net net;
  int h = net.activation(net.convolution(net.input({2, 4, 3}), {3, 2, 1, 1}), "silu");
  const int w = net.parameter({3, 3, 3, 3}), b = net.parameter({3});
  for (int i = 0; i < 2; ++i) h = net.sum(h, net.activation(net.conv2d(h, w, b, {.padding = {1, 1}}), "tanh"));
  net.cross_entropy(net.reshape(net.adaptive_avgpool2d(h, 1, 1), {3}));
  return net;
}

Net small_lenet() {
  Net net;
  int h = net.activation(net.convolution(net.input({1, 8, 8}), {2, 1, 3, 3}), "relu");
  h = net.maxpool2d(h);
  h = net.activation(net.convolution(h, {3, 2, 2, 2}), "relu");
  h = net.maxpool2d(h, {.kernel = {2, 2}, .stride = {1, 1}});
  h = net.activation(net.dense(net.reshape(h, {3}), 3, 4), "relu");
  net.cross_entropy(net.dense(h, 4, 3));
  return net;
}

/// Pooling and dropout of the raw input, then a convolution over an image made by reshape.
Net pooled_input() {
  Net net;
  int h = net.maxpool2d(net.input({1, 6, 4}), {.kernel = {2, 1}, .stride = {2, 1}});
  h = net.reshape(net.activation(net.dense(net.reshape(h, {12}), 12, 4), "gelu"), {1, 2, 2});
  h = net.activation(net.convolution(h, {2, 1, 2, 2}, {.padding = {1, 0}}), "softplus");
  net.cross_entropy(net.dense(net.reshape(h, {6}), 6, 3));
  return net;
}

/// The kernel is a function of parameters, and one interior node feeds a convolution and a pool.
Net computed_kernel() {
  Net net;
  const int x = net.activation(net.convolution(net.input({1, 4, 4}), {2, 1, 2, 2}), "tanh");
  const int w = net.activation(net.parameter({2, 2, 2, 2}), "tanh");
  const int a = net.activation(net.conv2d(x, w), "sigmoid");
  const int b = net.avgpool2d(x, {.kernel = {2, 2}, .stride = {1, 1}});
  net.cross_entropy(net.dense(net.reshape(net.sum(a, b), {8}), 8, 3));
  return net;
}

}  // namespace

void add_image_cases(std::vector<Case>& out) {
  out.push_back({"conv", one_convolution({1, 5, 5}, {2, 1, 3, 3}, {}, 18), 3, 401});
  out.push_back({"conv_no_bias", one_convolution({2, 4, 4}, {2, 2, 3, 3}, {}, 8, false), 3, 402});
  out.push_back({"conv_batch_of_one", one_convolution({3, 3, 3}, {2, 3, 2, 2}, {}, 8), 1, 403});
  out.push_back({"conv_stride_padding",
                 one_convolution({2, 5, 6}, {2, 2, 3, 2}, {.stride = {2, 3}, .padding = {1, 2}}, 18, true, "gelu"), 3,
                 404});
  out.push_back({"conv_dilation",
                 one_convolution({1, 6, 5}, {3, 1, 2, 3}, {.padding = {0, 1}, .dilation = {3, 2}}, 27, true, "silu"), 3,
                 405});
  out.push_back({"conv_groups", one_convolution({4, 3, 4}, {4, 2, 2, 2}, {.groups = 2}, 24, true, "softplus"), 3, 406});
  out.push_back({"conv_depthwise",
                 one_convolution({3, 4, 4}, {6, 1, 3, 3}, {.stride = {2, 2}, .padding = {1, 1}, .groups = 3}, 24), 2,
                 407});
  out.push_back({"conv_one_pixel", one_convolution({2, 3, 3}, {3, 2, 1, 1}, {}, 27, true, "elu"), 2, 408, false});
  out.push_back(
      {"conv_everything",
       one_convolution({4, 5, 6}, {2, 2, 2, 2}, {.stride = {1, 2}, .padding = {1, 2}, .dilation = {2, 3}, .groups = 2},
                       40, false, "sigmoid"),
       2, 409});
  out.push_back({"maxpool", one_pool(Pool::max, {}, 2, 3), 3, 410, false});
  out.push_back({"maxpool_overlapping",
                 one_pool(Pool::max, {.kernel = {3, 3}, .stride = {2, 1}, .padding = {1, 1}}, 3, 6), 2, 411, false});
  out.push_back({"maxpool_gaps", one_pool(Pool::max, {.kernel = {1, 2}, .stride = {3, 3}}, 2, 2), 3, 412, false});
  out.push_back({"avgpool", one_pool(Pool::average, {}, 2, 3), 3, 413});
  out.push_back({"avgpool_padding",
                 one_pool(Pool::average, {.kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 1}}, 3, 4), 3, 414});
  out.push_back({"avgpool_overlapping", one_pool(Pool::average, {.kernel = {2, 3}, .stride = {1, 2}}, 4, 2), 3, 415});
  out.push_back({"adaptive_avgpool", one_pool(Pool::adaptive, {}, 2, 4), 3, 416});
  out.push_back({"adaptive_avgpool_larger", one_pool(Pool::adaptive, {}, 7, 3), 2, 417});
  out.push_back({"residual_convolution", residual_convolution(), 2, 418});
  out.push_back({"small_lenet", small_lenet(), 3, 419, false});
  out.push_back({"pooled_input", pooled_input(), 3, 420});
  out.push_back({"computed_kernel", computed_kernel(), 2, 421});
}

}  // namespace hso::test
