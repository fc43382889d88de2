// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/model.hpp"

namespace hso {
namespace {

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};

Moments moments(const std::vector<double>& theta, const ParameterInfo& p) {
  Moments m;
  const auto n = static_cast<double>(p.shape.size());
  for (Index i = p.offset; i < p.offset + p.shape.size(); ++i) {
    const double x = theta[static_cast<std::size_t>(i)];
    m.mean += x / n;
    m.variance += x * x / n;
    m.largest = std::max(m.largest, std::abs(x));
  }
  m.variance -= m.mean * m.mean;
  return m;
}

/// 0 for a tensor that starts at zero.
double expected_variance(const ParameterInfo& p, Initialization initialization) {
  const auto in = static_cast<double>(p.fan_in), out = static_cast<double>(p.fan_out);
  if (initialization == Initialization::pytorch) return 1 / in / 3;
  if (p.is_bias) return 0;
  return initialization == Initialization::glorot ? 2 / (in + out) : 2 / in;
}

TEST(Initialization, MeanVarianceAndBounds) {
  const auto net = build_network<float>(parse_model("lenet5"), LossKind::cross_entropy);
  for (const std::string& name : initialization_names()) {
    const Initialization kind = parse_initialization(name);
    const auto theta = initial_parameters(net.parameters, kind, 7);
    ASSERT_EQ(theta.size(), 61706u);
    for (const ParameterInfo& p : net.parameters) {
      const Moments m = moments(theta, p);
      const double variance = expected_variance(p, kind), n = static_cast<double>(p.shape.size());
      // Five standard errors; var(x^2) is 4/5 of sigma^4 for the uniform, 2 for the normal distribution.
      EXPECT_LE(std::abs(m.mean), 5 * std::sqrt(variance / n)) << name << " " << p.name;
      if (n > 100) {
        EXPECT_NEAR(m.variance, variance, 5 * variance * std::sqrt(2 / n)) << name << " " << p.name;
      }
      if (kind != Initialization::kaiming) {
        EXPECT_LE(m.largest, std::sqrt(3 * variance)) << name << " " << p.name;
      }
      if (p.is_bias && kind != Initialization::pytorch) {
        EXPECT_EQ(m.largest, 0) << name << " " << p.name;
      }
    }
  }
  EXPECT_THROW(parse_initialization("xavier"), UsageError);
}

TEST(Initialization, SeedDecidesAndTensorsDiffer) {
  const auto net = build_network<double>(parse_model("mlp:8-8-8"), LossKind::cross_entropy);
  const auto start = [&](std::uint64_t seed) {
    return initial_parameters(net.parameters, Initialization::glorot, seed);
  };
  const auto theta = start(3);
  EXPECT_EQ(theta, start(3));
  EXPECT_NE(theta, start(4));
  const auto second = net.parameters[2].offset;
  EXPECT_FALSE(std::equal(theta.begin(), theta.begin() + 64, theta.begin() + second));
}

}  // namespace
}  // namespace hso
