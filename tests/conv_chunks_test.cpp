// SPDX-License-Identifier: Apache-2.0
//
// Convolutions work on chunks of samples when their column matrices outgrow the scratch budget. Images this large are
// cut on the CPU; tapes of one sample, which cannot be cut, are the reference.
#include <gtest/gtest.h>

#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

class ConvChunks : public OnDevice {};

Case large_images(int batch) {
  Case c{"large_images", {}, batch, 500};
  // Computed weights: only accumulators of interior nodes start empty, so only they show a chunk that overwrites.
  const int w = c.net.activation(c.net.parameter({4, 1, 3, 3}), "tanh");
  const int b = c.net.activation(c.net.parameter({4}), "silu");
  int h = c.net.conv2d(c.net.input({2, 64, 60}), w, b, {.padding = {1, 1}, .groups = 2});
  h = c.net.adaptive_avgpool2d(c.net.activation(h, "tanh"), 3, 3);
  h = c.net.activation(c.net.convolution(h, {2, 4, 2, 2}), "tanh");
  c.net.cross_entropy(c.net.dense(c.net.reshape(h, {8}), 8, 3));
  return c;
}

TEST_P(ConvChunks, ChunksOfSamplesAddUp) {
  const Case all = large_images(5), one = large_images(1);
  for_types([&]<class T>() {
    Runner<T> whole(context(), all, 3), single(context(), one, 1);
    const Numbers v = random_numbers(3 * static_cast<std::size_t>(whole.n()), 1);
    const double loss = whole.linearize();
    const Numbers g = whole.gradient(), hv = whole.product(Curvature::hessian, v),
                  gv = whole.product(Curvature::ggn, v);
    double sum = 0;
    Numbers sum_g, sum_hv, sum_gv;
    const auto size = static_cast<std::ptrdiff_t>(single.problem.x.size());
    for (int n = 0; n < 5; ++n) {
      single.problem.x.assign(whole.problem.x.begin() + n * size, whole.problem.x.begin() + (n + 1) * size);
      single.problem.t = {whole.problem.t[static_cast<std::size_t>(n)]};
      single.bind(0, 1, 0.2);
      sum += single.linearize();
      sum_g = single.gradient(sum_g);
      sum_hv = single.product(Curvature::hessian, v, sum_hv);
      sum_gv = single.product(Curvature::ggn, v, sum_gv);
    }
    EXPECT_TRUE(close(loss, sum, rounding_tolerance<T>())) << "loss";
    EXPECT_TRUE(close(g, sum_g, 10 * rounding_tolerance<T>())) << "gradient";
    EXPECT_TRUE(close(hv, sum_hv, 10 * rounding_tolerance<T>())) << "H v";
    EXPECT_TRUE(close(gv, sum_gv, 10 * rounding_tolerance<T>())) << "G v";
  });
}

INSTANTIATE_TEST_SUITE_P(Devices, ConvChunks, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
