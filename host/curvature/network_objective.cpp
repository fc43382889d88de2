// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/network_objective.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "curvature/fitting.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"

namespace hso {

using detail::AddDiagonal;
using detail::Axpby;
using detail::GatherRows;
using detail::Ops;
using detail::Scratch;

namespace {

/// A tape and the piece of the selection that is bound to it.
template <class T>
struct BoundTape {
  std::unique_ptr<Tape<T>> tape;
  Index piece = -1;
  std::uint64_t selection = 0;
};

constexpr Index kMostLanes = 32;

/// The most lanes whose tape fits a quarter of the free memory; 32 at most, since wider products gain nothing more.
template <class T>
Index lanes_that_fit(Context& context, const Graph<T>& graph, Index batch) {
  const Index budget = context.memory().free_bytes / 4;
  Index lanes = std::min(kMostLanes, std::max<Index>(graph.parameter_count(), 1));
  while (lanes > 1 && Tape<T>::bytes(graph, batch, lanes) > budget) lanes /= 2;
  return lanes;
}

}  // namespace

template <class T>
struct NetworkObjective<T>::Impl {
  Impl(Context& c, const Network<T>& net, const DeviceData<T>& d, const NetworkObjectiveOptions& o)
      : context(c), ops(c.ops<T>()), network(net), data(d), options(o) {
    if (options.fisher_draws < 1)
      throw UsageError(fmt::format("NetworkObjective: fisher_draws {}, expected at least 1", options.fisher_draws));
    batch = std::min(options.batch > 0 ? options.batch : data.size, data.size);
    lanes = options.lanes > 0 ? options.lanes : lanes_that_fit(context, network.graph, batch);
    rows = Buffer<Index>(context, padded(data.size));
  }

  Index padded(Index count) const { return (count + batch - 1) / batch * batch; }
  Index pieces() const { return padded(selected) / batch; }
  Index n() const { return network.graph.parameter_count(); }

  void select(Span<const Index> chosen) {
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
  }

  /// The tape with rows [piece * batch, ...) of the selection bound.
  Tape<T>& bound(BoundTape<T>& b, Index piece, Index most_lanes) {
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
    const Index real = std::min(batch, selected - piece * batch);
    T* weights = b.tape->weights().data;
    ops.fill(batch, T(0), weights);
    ops.fill(real, static_cast<T>(1.0 / static_cast<double>(selected)), weights);
    b.piece = piece;
    b.selection = selection;
    return *b.tape;
  }
  Tape<T>& main(Index piece) { return bound(main_tape, piece, lanes); }
  /// Values of trial points run here, so that a linearisation survives them.
  Tape<T>& trial(Index piece) { return bound(trial_tape, piece, 1); }

  double penalty(const T* theta) const {
    return options.weight_decay == 0 ? 0 : 0.5 * options.weight_decay * ops.dot(n(), theta, theta);
  }
  double count_hits(Tape<T>& tape, Index piece) {
    const Index real = std::min(batch, selected - piece * batch);
    Scratch scratch(context);
    T* labels = scratch.take<T>(batch);
    T* hits = scratch.take<T>(batch);
    ops.for_each(batch, 1, GatherRows<T>{data.labels.data(), rows.data() + piece * batch, labels, 1});
    ops.for_each(real, 1, detail::Hit<T>{tape.output().data, labels, hits, network.output.size()});
    return ops.dot(real, hits, hits);
  }

  Context& context;
  Ops<T>& ops;
  const Network<T>& network;
  const DeviceData<T>& data;
  NetworkObjectiveOptions options;
  Index batch = 0, lanes = 0, selected = 0;
  Buffer<Index> rows;
  std::vector<Index> host_rows;
  std::uint64_t selection = 0, step = 0;
  bool training = false;
  BoundTape<T> main_tape, trial_tape;
  Buffer<T> point;  ///< where the curvature in use was asked for
};

namespace {

/// Exact products over the selection. With one piece the linearisation is made once; with more, for every call.
template <class T, class Impl>
class NetworkCurvature final : public LinearOperator<T> {
 public:
  /// `linearized`: the main tape stands at theta with everything that products need.
  NetworkCurvature(Impl& impl, const T* theta, Curvature kind, bool linearized) : impl_(impl), kind_(kind) {
    if (impl_.point.size() == 0) impl_.point = Buffer<T>(impl_.context, impl_.n());
    impl_.ops.copy(impl_.n(), theta, impl_.point.data());
    if (impl_.pieces() == 1 && !linearized) linearize(0);
  }
  Context& context() const override { return impl_.context; }
  Index dimension() const override { return impl_.n(); }

  void apply(View<const T> v, View<T> hv) override {
    detail::require_fitting(*this, v, hv, "curvature of a network");
    const T decay = static_cast<T>(impl_.options.weight_decay) * static_cast<T>(draws());
    if (decay != T(0))
      impl_.ops.for_each(v.lanes, dimension(), Axpby<T>{decay, v.data, v.lane_stride, T(0), hv.data, hv.lane_stride});
    each_draw(decay != T(0), [&](Tape<T>& tape, bool add) { tape.product(tape_kind(), v, hv, add); });
    average(v.lanes, hv.data, hv.lane_stride);
  }

  void to_dense(T* h) override {
    each_draw(false, [&](Tape<T>& tape, bool add) { tape.dense(tape_kind(), h, add); });
    average(dimension(), h, dimension());
    if (impl_.options.weight_decay != 0)
      impl_.ops.for_each(1, dimension(), AddDiagonal<T>{h, dimension(), static_cast<T>(impl_.options.weight_decay)});
  }

 private:
  Index draws() const { return kind_ == Curvature::fisher_mc ? impl_.options.fisher_draws : 1; }
  Curvature tape_kind() const { return kind_ == Curvature::fisher_mc ? Curvature::fisher_empirical : kind_; }

  Tape<T>& linearize(Index piece) {
    Tape<T>& tape = impl_.main(piece);
    tape.linearize(impl_.point.data(), nullptr,
                   kind_ == Curvature::hessian ? Linearization::for_hessian : Linearization::for_ggn);
    return tape;
  }
  /// body(tape, add) for every piece and draw; `add` is false at most the first time.
  template <class Body>
  void each_draw(bool add, const Body& body) {
    for (Index piece = 0; piece < impl_.pieces(); ++piece) {
      Tape<T>& tape = impl_.pieces() == 1 ? *impl_.main_tape.tape : linearize(piece);
      for (Index draw = 0; draw < draws(); ++draw, add = true) {
        if (kind_ == Curvature::fisher_mc) {
          tape.sample_targets(impl_.options.fisher_seed, static_cast<std::uint64_t>(draw), piece * impl_.batch);
          impl_.main_tape.piece = -1;  // whoever needs the data's targets next binds them again
        }
        body(tape, add);
      }
    }
  }
  void average(Index lanes, T* x, Index stride) {
    if (draws() > 1)
      impl_.ops.for_each(lanes, dimension(), Axpby<T>{T(0), x, stride, T(1) / static_cast<T>(draws()), x, stride});
  }
  Impl& impl_;
  Curvature kind_;
};

/// Kinds that products of a tape serve; the others need gradients alone.
bool from_tape(Curvature kind) { return kind != Curvature::finite_difference && kind != Curvature::gradient_outer; }

}  // namespace

template <class T>
NetworkObjective<T>::NetworkObjective(Context& context, const Network<T>& network, const DeviceData<T>& data,
                                      const NetworkObjectiveOptions& options)
    : impl_(std::make_unique<Impl>(context, network, data, options)) {
  select_all();
}
template <class T>
NetworkObjective<T>::~NetworkObjective() = default;

template <class T>
void NetworkObjective<T>::select(Span<const Index> rows) {
  impl_->select(rows);
}

template <class T>
void NetworkObjective<T>::select_all() {
  std::vector<Index> all(static_cast<std::size_t>(impl_->data.size));
  std::iota(all.begin(), all.end(), Index{0});
  impl_->select(all);
}

template <class T>
void NetworkObjective<T>::set_training(bool training, std::uint64_t step) {
  impl_->training = training;
  impl_->step = step;
  for (BoundTape<T>* b : {&impl_->main_tape, &impl_->trial_tape})
    if (b->tape) b->tape->set_training(training, step);
}

template <class T>
Context& NetworkObjective<T>::context() const {
  return impl_->context;
}
template <class T>
Index NetworkObjective<T>::dimension() const {
  return impl_->n();
}
template <class T>
Index NetworkObjective<T>::lanes() const {
  return impl_->lanes;
}

template <class T>
double NetworkObjective<T>::value(const T* theta) {
  double sum = impl_->penalty(theta);
  for (Index piece = 0; piece < impl_->pieces(); ++piece) sum += impl_->trial(piece).forward(theta);
  return sum;
}

template <class T>
double NetworkObjective<T>::gradient(const T* theta, T* g) {
  const double decay = impl_->options.weight_decay;
  if (decay != 0) impl_->ops.axpby(dimension(), static_cast<T>(decay), theta, T(0), g);
  double sum = impl_->penalty(theta);
  for (Index piece = 0; piece < impl_->pieces(); ++piece)
    sum += impl_->main(piece).gradient(theta, g, decay != 0 || piece > 0);
  return sum;
}

template <class T>
std::unique_ptr<LinearOperator<T>> NetworkObjective<T>::curvature(const T* theta, Curvature kind) {
  if (!from_tape(kind)) return Objective<T>::curvature(theta, kind);
  return std::make_unique<NetworkCurvature<T, Impl>>(*impl_, theta, kind, false);
}

template <class T>
typename Objective<T>::Linearized NetworkObjective<T>::linearize(const T* theta, T* g, Curvature kind) {
  const double value = gradient(theta, g);
  if (!from_tape(kind)) return {value, curvature(theta, kind)};
  return {value, std::make_unique<NetworkCurvature<T, Impl>>(*impl_, theta, kind, true)};
}

template <class T>
Evaluation NetworkObjective<T>::evaluate(const T* theta) {
  const bool training = impl_->training;
  if (training) set_training(false, impl_->step);
  Evaluation out;
  double hits = 0;
  for (Index piece = 0; piece < impl_->pieces(); ++piece) {
    Tape<T>& tape = impl_->trial(piece);
    out.loss += tape.forward(theta);
    if (impl_->data.labels.size() > 0) hits += impl_->count_hits(tape, piece);
  }
  if (impl_->data.labels.size() > 0) out.accuracy = hits / static_cast<double>(impl_->selected);
  if (training) set_training(true, impl_->step);
  return out;
}

template class NetworkObjective<float>;
template class NetworkObjective<double>;

}  // namespace hso
