// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "nn/class_steps.hpp"

namespace hso {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;  // numbers that are converted at a time

/// Without a second copy of all numbers in host memory.
template <class T>
Buffer<T> uploaded(Context& context, const std::vector<double>& values) {
  Buffer<T> out(context, static_cast<Index>(values.size()));
  const detail::InUse in_use(context);
  std::vector<T> chunk;
  for (std::size_t begin = 0; begin < values.size(); begin += kChunk) {
    const auto from = values.begin() + static_cast<std::ptrdiff_t>(begin);
    const std::size_t count = std::min(kChunk, values.size() - begin);
    chunk.assign(from, from + static_cast<std::ptrdiff_t>(count));
    context.to_device(chunk.data(), out.data() + begin, static_cast<Index>(count * sizeof(T)));
  }
  return out;
}

/// Inputs of a network over tokens.
void check_tokens(const Dataset& data, Index vocabulary) {
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    const double token = data.inputs[i];
    if (token >= 0 && token < static_cast<double>(vocabulary) && token == std::floor(token)) continue;
    const auto width = static_cast<std::size_t>(data.input_shape.size());
    throw InputError(
        fmt::format("data '{}': sample {}, step {}: found the token {}, expected a whole number from 0 to {}",
                    data.name, i / width, i % width, token, vocabulary - 1));
  }
}

template <class T>
void check_shapes(const Network<T>& network, const Dataset& data) {
  if (data.size < 1) throw InputError(fmt::format("data '{}': no samples", data.name));
  data.validate();
  if (data.input_shape.size() != network.input.size())
    throw InputError(fmt::format("data '{}': samples of shape {} do not fit the model's input {}", data.name,
                                 data.input_shape.to_string(), network.input.to_string()));
  if (network.vocabulary > 0) check_tokens(data, network.vocabulary);
  const Index outputs = class_outputs(network.loss, network.output);
  if (data.classes > 0) {
    const Index steps = network.loss == LossKind::cross_entropy ? network.output.size() / outputs : 1;
    if (data.target_shape.size() != steps)
      throw InputError(
          fmt::format("data '{}': found {} label(s) for a sample, expected {} for the model's output {}{}", data.name,
                      data.target_shape.size(), steps, network.output.to_string(),
                      data.target_shape.rank() == 0 ? "; a flatten layer or last = true may be missing" : ""));
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
  if (data.target_shape.size() != network.output.size())
    throw InputError(fmt::format("data '{}': targets of shape {} do not fit the model's output {}", data.name,
                                 data.target_shape.to_string(), network.output.to_string()));
}

/// Class numbers as one-hot rows.
std::vector<double> one_hot(const Dataset& data, Index outputs) {
  std::vector<double> rows(static_cast<std::size_t>(checked_multiply(data.size, outputs)), 0.0);
  for (Index i = 0; i < data.size; ++i)
    rows[static_cast<std::size_t>(i * outputs + static_cast<Index>(data.targets[static_cast<std::size_t>(i)]))] = 1;
  return rows;
}

void check_probabilities(const Dataset& data, const std::vector<double>& targets) {
  for (double t : targets)
    if (!(t >= 0 && t <= 1))
      throw InputError(fmt::format("data '{}': bce target {}, expected a value in [0, 1]", data.name, t));
}

/// Targets in the form of the loss.
template <class T>
Buffer<T> placed_targets(Context& context, const Network<T>& network, const Dataset& data) {
  const Index outputs = network.output.size();
  const bool as_they_are = data.classes == 0 || network.loss == LossKind::cross_entropy || outputs == 1;
  const std::vector<double> rows = as_they_are ? std::vector<double>() : one_hot(data, outputs);
  const std::vector<double>& targets = as_they_are ? data.targets : rows;
  if (network.loss == LossKind::bce) check_probabilities(data, targets);
  return uploaded<T>(context, targets);
}

}  // namespace

template <class T>
DeviceData<T>::DeviceData(Context& context, const Network<T>& network, const Dataset& data) : size(data.size) {
  check_shapes(network, data);
  targets = placed_targets(context, network, data);
  inputs = uploaded<T>(context, data.inputs);
  if (data.classes > 0) labels = uploaded<T>(context, data.targets);
}

template struct DeviceData<float>;
template struct DeviceData<double>;

}  // namespace hso
