// SPDX-License-Identifier: Apache-2.0
#include "train/placed_data.hpp"

#include <algorithm>

#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/dense.hpp"

namespace hso {
namespace {

/// Of one sample: inputs, targets in the form of the loss, and the label.
template <class T>
Index numbers_of_a_row(const Network<T>& network, const Dataset& data) {
  const Index labels = data.target_shape.size();
  const Index target = network.loss == LossKind::cross_entropy ? labels : network.output.size();
  return data.input_shape.size() + target + (data.classes > 0 ? labels : 0);
}

template <class T>
const Dataset& fitting(Context& context, const Network<T>& network, const DataSplit& data) {
  const Index row = checked_multiply(numbers_of_a_row(network, data.train), static_cast<Index>(sizeof(T)));
  require_memory(context, "the data, n samples", data.train.size + data.test.size,
                 [row](Index samples) { return checked_multiply(samples, row); });
  return data.train;
}

}  // namespace

template <class T>
PlacedData<T>::PlacedData(Context& context, const Network<T>& network, const DataSplit& data, DataSplit* own)
    : train(context, network, fitting(context, network, data)) {
  if (own != nullptr) own->train = {};
  if (data.test.size > 0) test.emplace(context, network, data.test);
  if (own != nullptr) own->test = {};
}

template <class T>
Index rows_that_fit(Context& context, const Graph<T>& graph, Index wanted) {
  const auto tape = [&](Index rows) { return Tape<T>::bytes(context, graph, rows, 1); };
  require_memory(context, "the buffers of the network, n rows at a time", 1, tape);
  Index rows = wanted;
  while (rows > 1 && tape(rows) > context.memory().free_bytes / 4) rows = (rows + 1) / 2;
  return rows;
}

template Index rows_that_fit(Context&, const Graph<float>&, Index);
template Index rows_that_fit(Context&, const Graph<double>&, Index);
template struct PlacedData<float>;
template struct PlacedData<double>;

}  // namespace hso
