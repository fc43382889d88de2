// SPDX-License-Identifier: Apache-2.0
//
// The table of layer types. A row says which options the type takes, how it becomes nodes of a graph, and what the
// removal of channels and the check of derivatives must know of it. The rows are in layers/, by family.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/layer_options.hpp"

namespace hso {

/// Where a layer is built: behind node x of a graph.
template <class T>
struct LayerSite {
  /// A new tensor of theta, "<layer's name or number><suffix>". `uses`: ParameterInfo::uses, unless each entry of a
  /// weight is used once for each position of the output.
  Node parameter(const std::string& suffix, const Shape& shape, Index fan_in, Index fan_out, bool is_bias = false,
                 Index uses = kPositions);
  static constexpr Index kPositions = -1;
  /// For layers whose input are whole numbers from 0 to below `count`: InputError unless x is the network's input.
  void takes_tokens(Index count);
  /// The output of the layer with that name, or "input". InputError lists the names that come close.
  Node earlier(const LayerSpec& layer) const;
  const Shape& shape() const { return graph[x].shape; }

  const ModelSpec& model;
  Graph<T>& graph;
  std::vector<ParameterInfo>& parameters;
  std::vector<ParameterInfo>& statistics;  ///< Network::statistics
  Index& vocabulary;                       ///< Network::vocabulary
  std::uint64_t dropout_seed;
  std::map<std::string, Node> names{};
  Node x = kNoNode;
  std::size_t layer = 0;
};

/// How the outputs of a layer come from its inputs: what goes with a channel that is removed.
enum class ChannelUse {
  weight,       ///< row r of its weight makes channel r of the output, column c reads channel c of the input
  channelwise,  ///< channel c of the output is made of channel c of the input
  entrywise,    ///< entry e of the output is made of entry e of the input
  sum,          ///< entrywise, and of entry e of an earlier output
  fixed,        ///< entrywise, but in a shape that none can be taken from
  mixed         ///< every output may depend on every input: nothing can be removed on either side
};

struct LayerType {
  std::string type;
  std::vector<LayerOption> options;  ///< `type` and `name` aside
  bool (*kink)(const LayerSpec&);    ///< some first derivative jumps
  ChannelUse (*channels)(const LayerSpec&);
  /// What an input that is x everywhere becomes, dropout off; NaN where that is no constant. For all uses but weight,
  /// sum and mixed.
  double (*constant)(const LayerSpec&, double x);
  Node (*build_float)(LayerSite<float>&, const LayerSpec&);
  Node (*build_double)(LayerSite<double>&, const LayerSpec&);

  Node build(LayerSite<float>& at, const LayerSpec& layer) const { return build_float(at, layer); }
  Node build(LayerSite<double>& at, const LayerSpec& layer) const { return build_double(at, layer); }
};

/// A row from a class with the members of the same names; a member that is missing does not compile.
template <class Layer>
LayerType layer_type() {
  return {Layer::kType,
          Layer::options(),
          Layer::kink,
          Layer::channels,
          Layer::constant,
          Layer::template build<float>,
          Layer::template build<double>};
}

const std::vector<LayerType>& layer_types();
/// Null when there is none.
const LayerType* find_layer_type(const std::string& type);
/// Of a model that was built.
const LayerType& layer_type_of(const LayerSpec& layer);
/// ": expected one of ..." with a suggestion: the end of a message about an unknown type.
std::string expected_types(const std::string& found);

}  // namespace hso
