// SPDX-License-Identifier: Apache-2.0
#include "objective/micro_batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "graph/traversal.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "objective/lanes_that_fit.hpp"

namespace hso::detail {

namespace {

std::uintptr_t next_id() {
  static std::atomic<std::uintptr_t> last{0};
  return ++last;
}

/// Kinds whose products a linearised tape gives without new targets.
bool is_product_of_tape(Curvature kind) {
  return kind == Curvature::hessian || kind == Curvature::ggn || kind == Curvature::fisher_empirical;
}

}  // namespace

template <class T>
const Op<T>* op_over_rows(const Graph<T>& graph) {
  const Op<T>* found = nullptr;
  Index fewest = 0;
  for (const auto& node : graph.nodes()) {
    const Index numbers = node.op ? node.op->numbers_of_row(node.shape) : 0;
    if (numbers > 0 && (found == nullptr || numbers < fewest)) {
      found = node.op.get();
      fewest = numbers;
    }
  }
  return found;
}

template <class T>
void require_whole_batch(const Graph<T>& graph, Index rows, Index most) {
  const Op<T>* op = op_over_rows(graph);
  if (op == nullptr) return;
  if (rows > most)
    throw UsageError(
        fmt::format("{}: in training its statistics are those of all {} rows of a batch, which go {} at a time; take "
                    "fewer rows (--batch), or more at a time (--device-batch)",
                    op->name(), rows, most));
  for (const auto& node : graph.nodes())
    if (node.op && rows * node.op->numbers_of_row(node.shape) == 1)
      throw UsageError(
          fmt::format("{}: a training batch of one row gives one number for each channel, expected at least 2; take "
                      "another --batch, of which no batch of one row is left at the end of the data",
                      node.op->name()));
}

template <class T>
MicroBatches<T>::MicroBatches(Context& c, const Network<T>& net, const DeviceData<T>& d,
                              const NetworkObjectiveOptions& o)
    : context(c),
      ops(c.ops<T>()),
      network(net),
      data(d),
      options(o),
      place(c, 1),
      statistics(c, static_cast<Index>(net.graph.statistics().size())),
      next_statistics(c, statistics.size()),
      id_(next_id()) {
  if (options.fisher_draws < 1)
    throw UsageError(fmt::format("NetworkObjective: fisher_draws {}, expected at least 1", options.fisher_draws));
  batch = std::min(options.batch > 0 ? options.batch : data.size, data.size);
  lanes = options.lanes > 0 ? options.lanes : lanes_that_fit(context, network.graph, batch);
  rows = Buffer<Index>(context, padded(data.size));
  set_statistics(network.graph.statistics());
}

template <class T>
void MicroBatches<T>::set_statistics(Span<const double> values) {
  if (static_cast<Index>(values.size()) != statistics.size())
    throw InputError(fmt::format("NetworkObjective::set_statistics: found {} numbers, expected {}", values.size(),
                                 statistics.size()));
  if (values.empty()) return;
  const std::vector<T> numbers(values.begin(), values.end());
  statistics.upload(numbers);
  next_statistics.upload(numbers);
  ++version;
}

template <class T>
void MicroBatches<T>::require_rows(const char* what, Span<const Index> chosen) const {
  if (chosen.empty()) throw UsageError(fmt::format("NetworkObjective::{}: no rows", what));
  for (Index row : chosen)
    if (row < 0 || row >= data.size)
      throw UsageError(fmt::format("NetworkObjective::{}: row {} of {}", what, row, data.size));
}

template <class T>
void MicroBatches<T>::upload_rows(Span<const Index> chosen) {
  const Index count = static_cast<Index>(chosen.size());
  host_rows.assign(chosen.begin(), chosen.end());
  host_rows.resize(static_cast<std::size_t>(padded(count)), host_rows.front());  // weight zero, but finite
  if (padded(count) > rows.size()) rows = Buffer<Index>(context, padded(count));
  rows.upload(host_rows);
  ++selection;
  ++version;
}

template <class T>
void MicroBatches<T>::select(Span<const Index> chosen) {
  require_rows("select", chosen);
  upload_rows(chosen);
  selected = static_cast<Index>(chosen.size());
  first_row = ordered = 0;
}

template <class T>
void MicroBatches<T>::set_order(Span<const Index> all) {
  select(all);
  ordered = selected;
  place_batch(0, std::min(batch, ordered), nullptr);
}

template <class T>
void MicroBatches<T>::shuffle(std::uint64_t seed) {
  ops.permute(data.size, seed, rows.data());
  host_rows.clear();
  ordered = data.size;
  place_batch(0, std::min(batch, ordered), nullptr);
}

template <class T>
Index MicroBatches<T>::row_of(Index i) {
  if (host_rows.empty()) host_rows = rows.download();
  return host_rows[static_cast<std::size_t>(first_row + i)];
}

template <class T>
void MicroBatches<T>::place_batch(Index first, Index count, std::uint64_t* step_at) {
  first_row = first;
  selected = count;
  ++selection;
  ++version;
  const T weight = static_cast<T>(1.0 / static_cast<double>(count));
  ops.for_each(1, 1, SetBatch<T>{place.data(), {first, count, weight}, step_at, step});
}

template <class T>
void MicroBatches<T>::select_from_order(Index first, Index count, std::uint64_t training_step) {
  if (first < 0 || count < 1 || first + count > ordered || count > batch)
    throw UsageError(
        fmt::format("NetworkObjective::select_from_order: rows [{}, {} + {}) of an order of {}, at most {} at a time",
                    first, first, count, ordered, batch));
  set_training(true, training_step);
  Traversal<T>& tape = made(main_tape, lanes).traversal();
  tape.training = true;
  main_tape.masks = masks;
  place_batch(first, count, tape.step.data());
}

template <class T>
void MicroBatches<T>::set_training(bool on, std::uint64_t training_step) {
  training = on;
  step = training_step;
  ++masks;
  ++version;
}

template <class T>
Tape<T>& MicroBatches<T>::made(BoundTape<T>& b, Index most_lanes) {
  if (b.tape) return *b.tape;
  b.tape = std::make_unique<Tape<T>>(context, network.graph, batch, most_lanes, options.most);
  Traversal<T>& traversal = b.tape->traversal();
  traversal.statistics = statistics.data();
  if (&b == &main_tape) traversal.next_statistics = next_statistics.data();
  return *b.tape;
}

template <class T>
Tape<T>& MicroBatches<T>::told(BoundTape<T>& b, Index most_lanes) {
  if (training) require_whole();
  Tape<T>& tape = made(b, most_lanes);
  if (b.masks != masks) tape.set_training(training, step);
  b.masks = masks;
  return tape;
}

template <class T>
void MicroBatches<T>::gather(const Buffer<T>& from, Index micro_batch, T* to) {
  const Index columns = from.size() / data.size;
  if (ordered > 0)
    ops.for_each(batch, columns, GatherBatch<T>{from.data(), rows.data(), place.data(), to, columns});
  else
    ops.for_each(batch, columns, GatherRows<T>{from.data(), rows.data() + micro_batch * batch, to, columns});
}

template <class T>
void MicroBatches<T>::gather_micro_batch(Tape<T>& tape, Index micro_batch) {
  gather(data.inputs, micro_batch, tape.input().data);
  gather(data.targets, micro_batch, tape.target().data);
  if (Buffer<Index>& numbers = tape.traversal().rows; numbers.size() > 0)
    ops.for_each(1, batch,
                 BatchRows<T>{rows.data() + (ordered > 0 ? 0 : micro_batch * batch),
                              ordered > 0 ? place.data() : nullptr, numbers.data()});
  T* weights = tape.weights().data;
  if (ordered > 0) return ops.for_each(1, batch, BatchWeights<T>{place.data(), weights});
  ops.fill(batch, T(0), weights);
  ops.fill(rows_of(micro_batch), static_cast<T>(1.0 / static_cast<double>(selected)), weights);
}

template <class T>
Tape<T>& MicroBatches<T>::bound(BoundTape<T>& b, Index micro_batch, Index most_lanes) {
  Tape<T>& tape = told(b, most_lanes);
  if (b.micro_batch == micro_batch && b.selection == selection) return tape;
  gather_micro_batch(tape, micro_batch);
  b.micro_batch = micro_batch;
  b.selection = selection;
  return tape;
}

template <class T>
double MicroBatches<T>::penalty(const T* theta) const {
  return options.weight_decay == 0 ? 0 : 0.5 * options.weight_decay * ops.dot(n(), theta, theta);
}

template <class T>
Hits MicroBatches<T>::count_hits(Tape<T>& tape, Index micro_batch) {
  const Index steps = data.labels.size() / data.size, labelled = rows_of(micro_batch) * steps;
  Scratch scratch(context);
  T* labels = scratch.take<T>(batch * steps);
  T* hits = scratch.take<T>(2 * labelled);
  gather(data.labels, micro_batch, labels);
  ops.for_each(labelled, 1, Hit<T>{tape.output().data, labels, hits, hits + labelled, network.output.size() / steps});
  double found[2];
  ops.dots(2, labelled, hits, labelled, hits, labelled, found);
  return {found[0], found[1]};
}

template <class T>
Tape<T>& MicroBatches<T>::linearize(Index micro_batch, const T* theta, Linearization purpose) {
  check_interrupted();
  Tape<T>& tape = main(micro_batch);
  ++version;
  charge(kValueCost + (purpose == Linearization::for_hessian ? kAdjointCost : 0), rows_of(micro_batch));
  tape.linearize(theta, nullptr, purpose);
  return tape;
}

template <class T>
double MicroBatches<T>::gradient(Index micro_batch, const T* theta, T* g, bool add) {
  check_interrupted();
  ++version;
  charge(1, rows_of(micro_batch));
  return main(micro_batch).gradient(theta, g, add);
}

template <class T>
double MicroBatches<T>::gradient(const T* theta, T* g, const std::function<void(Tape<T>&, Index)>& visit) {
  const double decay = options.weight_decay;
  if (decay != 0) ops.axpby(n(), static_cast<T>(decay), theta, T(0), g);
  double sum = penalty(theta);
  for (Index micro_batch = 0; micro_batch < count(); ++micro_batch) {
    sum += gradient(micro_batch, theta, g, decay != 0 || micro_batch > 0);
    visit(*main_tape.tape, micro_batch);
  }
  return sum;
}

template <class T>
void MicroBatches<T>::value_on_device(const T* theta, double* value) {
  charge(kValueCost, selected);
  Scratch scratch(context);
  double* part = scratch.take<double>(1);
  const auto add_part = [&](double factor) { ops.for_each(1, 1, CombineNumbers<T>{factor, part, 1, value}); };
  for (Index micro_batch = 0; micro_batch < count(); ++micro_batch) {
    trial(micro_batch).forward_on_device(theta, micro_batch == 0 ? value : part);
    if (micro_batch > 0) add_part(1);
  }
  if (options.weight_decay == 0) return;
  ops.dots_on_device(1, n(), theta, n(), theta, n(), part);
  add_part(0.5 * options.weight_decay);
}

template <class T>
bool MicroBatches<T>::announce_gradient(std::vector<std::uintptr_t>& key, Index products, Curvature kind) {
  if (count() != 1 || (products > 0 && !is_product_of_tape(kind))) return false;
  const Tape<T>& tape = ordered > 0 ? told(main_tape, lanes) : main(0);  // no part of what is recorded
  ++version;
  charge(1, selected);
  if (products > 0)
    charge(static_cast<double>(products) * (kind == Curvature::hessian ? kHessianCost : kGgnCost), selected);
  key.insert(key.end(), {id_, reinterpret_cast<std::uintptr_t>(&tape), reinterpret_cast<std::uintptr_t>(rows.data()),
                         static_cast<std::uintptr_t>(ordered > 0), static_cast<std::uintptr_t>(training)});
  return true;
}

template <class T>
void MicroBatches<T>::gradient_on_device(const T* theta, T* g, double* value) {
  Tape<T>& tape = *main_tape.tape;
  if (ordered > 0) {
    gather_micro_batch(tape, 0);
    main_tape.micro_batch = -1;  // a replay says nothing: whoever comes next gathers again
  }
  const double decay = options.weight_decay;
  if (decay == 0) return tape.gradient_on_device(theta, g, value);
  ops.axpby(n(), static_cast<T>(decay), theta, T(0), g);
  tape.gradient_on_device(theta, g, value, true);
  Scratch scratch(context);
  double* squares = scratch.take<double>(1);
  ops.dots_on_device(1, n(), theta, n(), theta, n(), squares);
  ops.for_each(1, 1, CombineNumbers<T>{0.5 * decay, squares, 0, squares});
  ops.for_each(1, 1, CombineNumbers<T>{1, squares, 1, value});
}

template <class T>
void MicroBatches<T>::product_on_device(Curvature kind, const T* v, T* hv) {
  const double decay = options.weight_decay;
  if (decay != 0) ops.axpby(n(), static_cast<T>(decay), v, T(0), hv);
  main_tape.tape->product(kind, vector_view<const T>(v, n()), vector_view(hv, n()), decay != 0);
}

template <class T>
void MicroBatches<T>::draw_targets(Tape<T>& tape, Index micro_batch, std::uint64_t draw) {
  tape.sample_targets(options.fisher_seed, draw, micro_batch * batch);
  ++version;
  main_tape.micro_batch = -1;  // whoever needs the data's targets next binds them again
}

template const Op<float>* op_over_rows(const Graph<float>&);
template const Op<double>* op_over_rows(const Graph<double>&);
template void require_whole_batch(const Graph<float>&, Index, Index);
template void require_whole_batch(const Graph<double>&, Index, Index);
template struct MicroBatches<float>;
template struct MicroBatches<double>;

}  // namespace hso::detail
