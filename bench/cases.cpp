// SPDX-License-Identifier: Apache-2.0
#include "cases.hpp"

#include <cmath>
#include <random>

#include "hsogpu/data/dataset.hpp"

namespace hso::bench {

const std::vector<NetCase>& net_cases() {
  static const std::vector<NetCase> cases{
      {"784-300-100-10", "mlp:784-300-100-10:tanh", 1024, false, true},
      {"784-1024-512-256-128-64-10", "mlp:784-1024-512-256-128-64-10:tanh", 512, false, true},
      {"8x512", "mlp:512-512-512-512-512-512-512-512-512:tanh", 1024, false, true},
      {"64-32-10", "mlp:64-32-10:tanh", 1437, true, false},
      {"96-96-64-10", "mlp:96-96-64-10:tanh", 1024, false, true},
      {"lenet5", "lenet5", 256, false, false},
      {"resnet20", "resnet20", 32, false, false, true},
      {"lstm-100x64-256", "lstm:100x64-256-10", 64, false, false}};
  return cases;
}

Work work_of(const NetCase& net) {
  Work work;
  for (const ParameterInfo& p : build_network<float>(parse_model(net.model), LossKind::cross_entropy).parameters) {
    const double macs = static_cast<double>(p.shape.size() * p.uses) * static_cast<double>(net.batch);
    if (work.S == 0) work.s1 = macs;  // the product with the data
    work.S += macs;
  }
  return work;
}

std::vector<double> random_numbers(Index n, unsigned seed) {
  // The engine's numbers are fixed by the standard, a std::normal_distribution's are not: uniform in +-sqrt(3).
  std::mt19937 engine(seed);
  std::vector<double> x(static_cast<std::size_t>(n));
  for (double& value : x) value = (static_cast<double>(engine()) / 4294967296.0 - 0.5) * std::sqrt(12.0);
  return x;
}

Batch make_batch(const NetCase& net) {
  if (net.digits) {
    Dataset train = split(digits(), 360, 0).train;
    for (double& pixel : train.inputs) pixel /= 16;
    return {train.inputs, train.targets};
  }
  const Network<float> network = build_network<float>(parse_model(net.model), LossKind::cross_entropy);
  Batch batch{random_numbers(net.batch * network.input.size(), 1), {}};
  std::mt19937 engine(2);
  const auto classes = static_cast<unsigned>(network.output.size());
  for (Index i = 0; i < net.batch; ++i) batch.labels.push_back(static_cast<double>(engine() % classes));
  return batch;
}

}  // namespace hso::bench
