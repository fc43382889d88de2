// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/error.hpp"
#include "hsogpu/network_objective.hpp"

namespace hso {
namespace {

template <class T>
Buffer<T> uploaded(Context& context, const std::vector<double>& values) {
  const std::vector<T> narrowed(values.begin(), values.end());
  return Buffer<T>(context, Span<const T>(narrowed));
}

template <class T>
void check_shapes(const Network<T>& network, const Dataset& data) {
  if (data.size < 1) throw InputError(fmt::format("data '{}': no samples", data.name));
  data.validate();
  if (data.input_shape.size() != network.input.size())
    throw InputError(fmt::format("data '{}': samples of shape {} do not fit the model's input {}", data.name,
                                 data.input_shape.to_string(), network.input.to_string()));
  const Index outputs = network.output.size();
  if (data.classes > 0) {
    const bool binary = network.loss == LossKind::bce && outputs == 1 && data.classes <= 2;
    if (!binary && data.classes > outputs)
      throw InputError(
          fmt::format("data '{}': {} classes, but the model has {} outputs", data.name, data.classes, outputs));
    return;
  }
  if (network.loss == LossKind::cross_entropy)
    throw InputError(
        fmt::format("data '{}': cross_entropy needs whole-number classes; the targets are values of shape {}",
                    data.name, data.target_shape.to_string()));
  if (data.target_shape.size() != outputs)
    throw InputError(fmt::format("data '{}': targets of shape {} do not fit the model's output {}", data.name,
                                 data.target_shape.to_string(), network.output.to_string()));
}

/// Targets in the form of the loss.
template <class T>
std::vector<double> encoded_targets(const Network<T>& network, const Dataset& data) {
  const Index outputs = network.output.size();
  if (data.classes == 0 || network.loss == LossKind::cross_entropy || outputs == 1) return data.targets;
  std::vector<double> rows(static_cast<std::size_t>(data.size * outputs), 0.0);
  for (Index i = 0; i < data.size; ++i)
    rows[static_cast<std::size_t>(i * outputs + static_cast<Index>(data.targets[static_cast<std::size_t>(i)]))] = 1;
  return rows;
}

template <class T>
std::vector<double> checked_targets(const Network<T>& network, const Dataset& data) {
  check_shapes(network, data);
  std::vector<double> targets = encoded_targets(network, data);
  if (network.loss != LossKind::bce) return targets;
  for (double t : targets)
    if (!(t >= 0 && t <= 1))
      throw InputError(fmt::format("data '{}': bce target {}, expected a value in [0, 1]", data.name, t));
  return targets;
}

}  // namespace

template <class T>
DeviceData<T>::DeviceData(Context& context, const Network<T>& network, const Dataset& data) : size(data.size) {
  const std::vector<double> encoded = checked_targets(network, data);
  inputs = uploaded<T>(context, data.inputs);
  targets = uploaded<T>(context, encoded);
  if (data.classes > 0) labels = uploaded<T>(context, data.targets);
}

template struct DeviceData<float>;
template struct DeviceData<double>;

}  // namespace hso
