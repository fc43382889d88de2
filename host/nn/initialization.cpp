// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "hsogpu/detail/elements/random.hpp"
#include "hsogpu/graph/model.hpp"

namespace hso {
namespace {

// Streams of their own: a dropout mask or a shuffle with the same seed has other numbers.
constexpr std::uint64_t kStream = 0x696e697400000000;

/// Uniform in +-scale, or normal with standard deviation `scale`; 0 leaves zeros.
struct Start {
  detail::Distribution distribution;
  double scale;
};

Start start_of(const ParameterInfo& p, Initialization initialization) {
  const auto fan_in = static_cast<double>(p.fan_in), fan_out = static_cast<double>(p.fan_out);
  if (initialization == Initialization::pytorch) return {detail::Distribution::uniform, 1 / std::sqrt(fan_in)};
  if (p.is_bias) return {detail::Distribution::uniform, 0};
  if (initialization == Initialization::kaiming) return {detail::Distribution::normal, std::sqrt(2 / fan_in)};
  return {detail::Distribution::uniform, std::sqrt(6 / (fan_in + fan_out))};
}

void fill(double* x, Index n, const Start& start, std::uint64_t seed, std::uint64_t stream) {
  if (start.scale == 0) return;
  const bool uniform = start.distribution == detail::Distribution::uniform;
  const detail::RandomFill<double> draw{
      x, seed, stream, start.distribution, uniform ? -start.scale : 0, uniform ? 2 * start.scale : start.scale};
  for (Index i = 0; i < n; ++i) draw(0, i);
}

}  // namespace

std::vector<double> initial_parameters(const std::vector<ParameterInfo>& parameters, Initialization initialization,
                                       std::uint64_t seed) {
  Index n = 0;
  for (const ParameterInfo& p : parameters) n = std::max(n, p.offset + p.shape.size());
  std::vector<double> theta(static_cast<std::size_t>(n));
  std::uint64_t stream = kStream;
  for (const ParameterInfo& p : parameters) {
    double* first = theta.data() + p.offset;
    if (p.start)
      std::fill_n(first, p.shape.size(), *p.start);
    else
      fill(first, p.shape.size(), start_of(p, initialization), seed, stream);
    ++stream;
  }
  return theta;
}

}  // namespace hso
