// SPDX-License-Identifier: Apache-2.0
//
// The layers of a model as graph nodes, without the loss.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/graph/model.hpp"

namespace hso {

template <class T>
struct NetworkLayers {
  Graph<T> graph;
  std::vector<ParameterInfo> parameters;
  std::vector<ParameterInfo> statistics{};  ///< Network::statistics
  std::vector<Node> outputs{};              ///< of each layer
  Index vocabulary = 0;                     ///< Network::vocabulary
};

/// InputError: an option out of range, a name that is not there, shapes that do not fit, no layer with parameters.
template <class T>
NetworkLayers<T> build_layers(const ModelSpec& model, std::uint64_t dropout_seed = 0);

/// Throws what build_layers throws.
void check_model(const ModelSpec& model);

/// "net.toml:12: layer 3: ", or with the model's name where no file is known: how a message starts.
std::string location(const ModelSpec& model, std::size_t layer);

/// What the layer's parameters are called: its name, or its number.
std::string layer_label(const ModelSpec& model, std::size_t layer);

}  // namespace hso
