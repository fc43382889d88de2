// SPDX-License-Identifier: Apache-2.0
//
// Small networks on random data, and their dense curvature matrices.
#pragma once

#include <algorithm>
#include <cmath>

#include "hsogpu/objective/network_objective.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"

namespace hso::test {

/// A small network on `rows` random samples with 3 classes or values.
template <class T>
struct Setting {
  Setting(Context& c, const std::string& model, LossKind loss, Index rows, std::uint64_t seed = 1)
      : Setting(c, parse_model(model), loss, rows, seed) {}
  Setting(Context& c, const ModelSpec& model, LossKind loss, Index rows, std::uint64_t seed = 1)
      : context(c),
        network(build_network<T>(model, loss)),
        inputs(dataset(model.input, network.output.size(), loss, rows, seed)),
        data(c, network, inputs) {
    const auto start = initial_parameters(network.parameters, Initialization::glorot, seed);
    theta = Buffer<T>(c, Span<const T>(narrow<T>(start)));
  }
  static Dataset dataset(const Shape& input, Index outputs, LossKind loss, Index rows, std::uint64_t seed) {
    Dataset d;
    d.name = "random";
    d.size = rows;
    d.input_shape = input;
    d.inputs = random_numbers(static_cast<std::size_t>(input.size() * rows), seed);
    const bool classes = loss == LossKind::cross_entropy;
    d.classes = classes ? 3 : 0;
    d.target_shape = classes ? Shape{} : Shape{outputs};
    d.targets = random_numbers(static_cast<std::size_t>(rows * (classes ? 1 : outputs)), seed + 1);
    for (double& t : d.targets) {
      if (classes) t = t < -0.4 ? 0 : t < 0.4 ? 1 : 2;
      if (loss == LossKind::bce) t = t > 0 ? 1 : 0;
    }
    return d;
  }
  NetworkObjective<T> objective(const NetworkObjectiveOptions& o = {}) { return {context, network, data, o}; }
  Index n() const { return theta.size(); }
  Numbers dense(Objective<T>& f, Curvature kind) {
    Buffer<T> h(context, n() * n());
    f.curvature(theta.data(), kind)->to_dense(h.data());
    return widen(h.download());
  }

  Context& context;
  Network<T> network;
  Dataset inputs;
  DeviceData<T> data;
  Buffer<T> theta;
};

/// max |a - b| / max |b|
inline double worst(const Numbers& a, const Numbers& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(a[i] - b[i]));
    size = std::max(size, std::abs(b[i]));
  }
  return difference / size;
}

}  // namespace hso::test
