// SPDX-License-Identifier: Apache-2.0
#include "curvature/network_pieces.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "curvature/lanes_that_fit.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/error.hpp"

namespace hso::detail {

template <class T>
NetworkPieces<T>::NetworkPieces(Context& c, const Network<T>& net, const DeviceData<T>& d,
                                const NetworkObjectiveOptions& o)
    : context(c), ops(c.ops<T>()), network(net), data(d), options(o) {
  if (options.fisher_draws < 1)
    throw UsageError(fmt::format("NetworkObjective: fisher_draws {}, expected at least 1", options.fisher_draws));
  batch = std::min(options.batch > 0 ? options.batch : data.size, data.size);
  lanes = options.lanes > 0 ? options.lanes : lanes_that_fit(context, network.graph, batch);
  rows = Buffer<Index>(context, padded(data.size));
}

template <class T>
void NetworkPieces<T>::select(Span<const Index> chosen) {
  if (chosen.empty()) throw UsageError("NetworkObjective::select: no rows");
  for (Index row : chosen)
    if (row < 0 || row >= data.size)
      throw UsageError(fmt::format("NetworkObjective::select: row {} of {}", row, data.size));
  host_rows.assign(chosen.begin(), chosen.end());
  selected = static_cast<Index>(host_rows.size());
  host_rows.resize(static_cast<std::size_t>(padded(selected)), host_rows.front());  // weight zero, but finite
  if (padded(selected) > rows.size()) rows = Buffer<Index>(context, padded(selected));
  rows.upload(host_rows);
  ++selection;
  ++stand;
}

template <class T>
Tape<T>& NetworkPieces<T>::bound(BoundTape<T>& b, Index piece, Index most_lanes) {
  if (!b.tape) {
    b.tape = std::make_unique<Tape<T>>(context, network.graph, batch, most_lanes);
    b.tape->set_training(training, step);
  }
  if (b.piece == piece && b.selection == selection) return *b.tape;
  const Index* index = rows.data() + piece * batch;
  const auto gather = [&](const Buffer<T>& from, View<T> to) {
    const Index columns = from.size() / data.size;
    ops.for_each(batch, columns, GatherRows<T>{from.data(), index, to.data, columns});
  };
  gather(data.inputs, b.tape->input());
  gather(data.targets, b.tape->target());
  const Index real = rows_of(piece);
  T* weights = b.tape->weights().data;
  ops.fill(batch, T(0), weights);
  ops.fill(real, static_cast<T>(1.0 / static_cast<double>(selected)), weights);
  b.piece = piece;
  b.selection = selection;
  return *b.tape;
}

template <class T>
double NetworkPieces<T>::penalty(const T* theta) const {
  return options.weight_decay == 0 ? 0 : 0.5 * options.weight_decay * ops.dot(n(), theta, theta);
}

template <class T>
double NetworkPieces<T>::count_hits(Tape<T>& tape, Index piece) {
  const Index real = rows_of(piece);
  Scratch scratch(context);
  T* labels = scratch.take<T>(batch);
  T* hits = scratch.take<T>(batch);
  ops.for_each(batch, 1, GatherRows<T>{data.labels.data(), rows.data() + piece * batch, labels, 1});
  ops.for_each(real, 1, Hit<T>{tape.output().data, labels, hits, network.output.size()});
  return ops.dot(real, hits, hits);
}

template <class T>
Tape<T>& NetworkPieces<T>::linearize(Index piece, const T* theta, Linearization purpose) {
  Tape<T>& tape = main(piece);
  ++stand;
  count(kValueCost + (purpose == Linearization::for_hessian ? kAdjointCost : 0), rows_of(piece));
  tape.linearize(theta, nullptr, purpose);
  return tape;
}

template <class T>
double NetworkPieces<T>::gradient(Index piece, const T* theta, T* g, bool add) {
  ++stand;
  count(1, rows_of(piece));
  return main(piece).gradient(theta, g, add);
}

template <class T>
double NetworkPieces<T>::gradient(const T* theta, T* g, const std::function<void(Tape<T>&, Index)>& visit) {
  const double decay = options.weight_decay;
  if (decay != 0) ops.axpby(n(), static_cast<T>(decay), theta, T(0), g);
  double sum = penalty(theta);
  for (Index piece = 0; piece < pieces(); ++piece) {
    sum += gradient(piece, theta, g, decay != 0 || piece > 0);
    visit(*main_tape.tape, piece);
  }
  return sum;
}

template <class T>
void NetworkPieces<T>::draw_targets(Tape<T>& tape, Index piece, std::uint64_t draw) {
  tape.sample_targets(options.fisher_seed, draw, piece * batch);
  ++stand;
  main_tape.piece = -1;  // whoever needs the data's targets next binds them again
}

template struct NetworkPieces<float>;
template struct NetworkPieces<double>;

}  // namespace hso::detail
