// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/graph/tape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/leaf_rows.hpp"
#include "graph/tape_plan.hpp"
#include "graph/traversal.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso {

using detail::Ops;
using detail::Scratch;

template <class T>
struct Tape<T>::Impl : detail::Traversal<T> {
  using detail::Traversal<T>::Traversal;
  enum class State { none, forward, linearized };
  State state = State::none;

  void require_room(const char* what, bool backward) const {
    if (this->lanes == 0 || (backward && !this->adjoints))
      throw UsageError(fmt::format("Tape::{}: this tape was made for {} alone", what,
                                   this->lanes == 0 ? "values" : "values and the products of for_ggn"));
  }
  void require_point(Curvature kind) const {
    require_room("product", kind == Curvature::hessian);
    if (kind != Curvature::hessian && kind != Curvature::ggn && kind != Curvature::fisher_empirical)
      throw UsageError(
          "Tape::product: a tape has hessian, ggn and fisher_empirical products; an objective has the rest");
    const State needed = kind == Curvature::hessian ? State::linearized : State::forward;
    if (state < needed) throw UsageError("Tape::product: call linearize first (for_hessian for Hessian products)");
  }
};

namespace {

template <class T>
const Graph<T>& require_complete(const Graph<T>& graph) {
  if (graph.loss_node() == kNoNode || graph.output_node() == kNoNode || graph.input_node() == kNoNode)
    throw UsageError("Tape: the graph needs an input, an output (set_output) and a loss (set_loss)");
  return graph;
}

/// Every view that is not null holds a leaf's entries, and all have one lane count that the tape's pool can carry.
template <class T>
void require_fitting(const Tape<T>& tape, Span<const View<T>> views, Index& lanes, const char* what) {
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (!views[i]) continue;
    const Shape& shape = tape.graph()[tape.leaves()[i]].shape;
    if (views[i].size() != shape.size())
      throw InputError(fmt::format("Tape::product: {} {} is {}, expected {}", what, i, views[i].shape.to_string(),
                                   shape.to_string()));
    if (lanes == 0) lanes = views[i].lanes;
    if (views[i].lanes != lanes || lanes < 1 || lanes > tape.lanes())
      throw InputError(fmt::format("Tape::product: {} {} has {} lanes; expected one count for all, at most {}", what, i,
                                   views[i].lanes, tape.lanes()));
  }
}

}  // namespace

template <class T>
Tape<T>::Tape(Context& context, const Graph<T>& graph, Index batch, Index lanes, Linearization most) {
  if (batch < 1 || lanes < 0)
    throw UsageError(fmt::format("Tape: batch {} and lanes {}, expected at least 1 and 0", batch, lanes));
  impl_ = std::make_unique<Impl>(context, require_complete(graph), batch, lanes,
                                 lanes > 0 && most == Linearization::for_hessian);
}
template <class T>
Tape<T>::~Tape() = default;
template <class T>
Tape<T>::Tape(Tape&&) noexcept = default;

template <class T>
Context& Tape<T>::context() const {
  return impl_->context;
}
template <class T>
const Graph<T>& Tape<T>::graph() const {
  return impl_->graph;
}
template <class T>
Index Tape<T>::batch() const {
  return impl_->batch;
}
template <class T>
Index Tape<T>::lanes() const {
  return impl_->lanes;
}
template <class T>
Index Tape<T>::dimension() const {
  return impl_->graph.parameter_count();
}
template <class T>
const std::vector<Node>& Tape<T>::leaves() const {
  return impl_->plan.leaves;
}

template <class T>
detail::Traversal<T>& Tape<T>::traversal() {
  return *impl_;
}

template <class T>
View<T> Tape<T>::input() {
  return impl_->slot(impl_->graph.input_node()).y;
}
template <class T>
View<T> Tape<T>::target() {
  const Node node = impl_->graph.target_node();
  return node == kNoNode ? View<T>{} : impl_->slot(node).y;
}
template <class T>
View<T> Tape<T>::weights() {
  return vector_view(impl_->weights, impl_->batch);
}
template <class T>
View<const T> Tape<T>::output() const {
  return impl_->slot(impl_->graph.output_node()).y;
}
template <class T>
View<const T> Tape<T>::losses() const {
  return impl_->slot(impl_->graph.loss_node()).y;
}

template <class T>
View<T> Tape<T>::statistics() {
  return vector_view(impl_->statistics, static_cast<Index>(graph().statistics().size()));
}
template <class T>
View<T> Tape<T>::next_statistics() {
  return vector_view(impl_->next_statistics, static_cast<Index>(graph().statistics().size()));
}

template <class T>
void Tape<T>::bind(Span<const T> input_rows, Span<const T> target_rows, double weight) {
  const Index per_input = input().size() / batch(), per_target = target() ? target().size() / batch() : 0;
  const Index rows = static_cast<Index>(input_rows.size()) / per_input;
  if (rows < 1 || rows > batch() || rows * per_input != static_cast<Index>(input_rows.size()) ||
      rows * per_target != static_cast<Index>(target_rows.size()))
    throw InputError(fmt::format("Tape::bind: {} input and {} target numbers; expected up to {} rows of {} and {}",
                                 input_rows.size(), target_rows.size(), batch(), per_input, per_target));
  const auto bytes = [](Span<const T> s) { return static_cast<Index>(s.size_bytes()); };
  if (rows < batch()) {  // rows of weight zero must still hold numbers
    impl_->ops.fill(input().size(), T(0), input().data);
    if (target()) impl_->ops.fill(target().size(), T(0), target().data);
  }
  context().to_device(input_rows.data(), input().data, bytes(input_rows));
  if (target()) context().to_device(target_rows.data(), target().data, bytes(target_rows));
  impl_->ops.fill(batch(), T(0), weights().data);
  impl_->ops.fill(rows, static_cast<T>(weight > 0 ? weight : 1.0 / static_cast<double>(rows)), weights().data);
  impl_->state = Impl::State::none;
}

template <class T>
void Tape<T>::set_training(bool training, std::uint64_t step) {
  impl_->training = training;
  impl_->ops.for_each(1, 1, detail::SetBatch<T>{nullptr, {}, impl_->step.data(), step});
}

template <class T>
double Tape<T>::forward(const T* theta) {
  impl_->state = Impl::State::none;
  impl_->run_forward(theta, nullptr, false, false);
  const double loss = impl_->loss();
  impl_->state = Impl::State::forward;
  return loss;
}

template <class T>
void Tape<T>::forward_on_device(const T* theta, double* value) {
  impl_->state = Impl::State::none;
  impl_->run_forward(theta, nullptr, false, false);
  impl_->loss_on_device(value);
  impl_->state = Impl::State::forward;
}

template <class T>
double Tape<T>::gradient(const T* theta, T* g, bool add) {
  return linearize(theta, g, Linearization::for_hessian, add);
}

template <class T>
void Tape<T>::gradient_on_device(const T* theta, T* g, double* value, bool add) {
  impl_->require_room("gradient_on_device", true);
  impl_->state = Impl::State::none;
  impl_->run_forward(theta, g, true, add);
  impl_->loss_on_device(value);
  impl_->state = Impl::State::linearized;
}

template <class T>
double Tape<T>::linearize(const T* theta, T* g, Linearization purpose, bool add) {
  impl_->state = Impl::State::none;
  const bool backward = g != nullptr || purpose == Linearization::for_hessian;
  impl_->require_room("linearize", backward);
  impl_->run_forward(theta, g, backward, add);
  const double loss = impl_->loss();
  impl_->state = backward ? Impl::State::linearized : Impl::State::forward;
  return loss;
}

template <class T>
void Tape<T>::product(Curvature kind, View<const T> v, View<T> hv, bool add) {
  const Index n = dimension();
  if (v.size() != n || hv.size() != n || v.lanes != hv.lanes)
    throw InputError(fmt::format("Tape::product: V {} x {} and HV {} x {}; expected K x {} both", v.lanes,
                                 v.shape.to_string(), hv.lanes, hv.shape.to_string(), n));
  impl_->require_point(kind);
  for (Index k0 = 0; k0 < v.lanes; k0 += lanes()) {
    const Index k = std::min(lanes(), v.lanes - k0);
    impl_->run_product(kind, vector_view(v.lane(k0), n, k, v.lane_stride),
                       vector_view(hv.lane(k0), n, k, hv.lane_stride), add);
  }
}

template <class T>
void Tape<T>::product(Curvature kind, Span<const View<T>> tangents, Span<const View<T>> results, bool add) {
  impl_->require_point(kind);
  if (tangents.size() != leaves().size() || results.size() != leaves().size())
    throw UsageError(fmt::format("Tape::product: {} tangents and {} results for {} parameter leaves", tangents.size(),
                                 results.size(), leaves().size()));
  Index common = 0;
  require_fitting(*this, tangents, common, "tangent");
  require_fitting(*this, results, common, "result");
  impl_->run_product(kind, tangents, results, add);
}

template <class T>
void Tape<T>::sample_targets(std::uint64_t seed, std::uint64_t stream, Index first) {
  if (impl_->state < Impl::State::forward) throw UsageError("Tape::sample_targets: call forward or linearize first");
  const Node loss = graph().loss_node();
  if (graph()[loss].inputs.back() != graph().target_node())
    throw UsageError("Tape::sample_targets: the loss compares with a node that is not the graph's target");
  graph()[loss].op->sample_target(impl_->ops, impl_->point(loss), seed, stream, first);
}

namespace {

constexpr Index kTransposed = 512;

/// h[j][:] (+)= curvature * e_j for the whole theta: tied leaves cannot be taken one by one.
template <class T>
void dense_by_full_products(Tape<T>& tape, Ops<T>& ops, Curvature kind, T* h, bool add) {
  const Index n = tape.dimension();
  Scratch scratch(tape.context());
  T* seeds = scratch.take<T>(tape.lanes() * n);
  for (Index first = 0; first < n; first += tape.lanes()) {
    check_interrupted();
    const Index k = std::min(tape.lanes(), n - first);
    ops.for_each(k, n, detail::UnitVectors<T>{seeds, n, first});
    tape.product(kind, vector_view<const T>(seeds, n, k), vector_view(h + first * n, n, k), add);
  }
}

}  // namespace

template <class T>
void Tape<T>::dense(Curvature kind, T* h, bool add) {
  impl_->require_room("dense", kind == Curvature::hessian);
  const Index n = dimension();
  Ops<T>& ops = impl_->ops;
  if (!impl_->plan.partition) return dense_by_full_products(*this, ops, kind, h, add);
  for (std::size_t leaf = 0; leaf < leaves().size(); ++leaf) {
    const auto& own = graph()[leaves()[leaf]];
    detail::leaf_rows(*this, kind, leaf, own.offset, n - own.offset, h + own.offset * (n + 1), n, add);
    const Index end = own.offset + own.shape.size();
    for (Index first = end; first < n; first += kTransposed) {  // few enough rows of the target to stay in reach
      const Index columns = std::min(kTransposed, n - first);
      ops.for_each(own.shape.size(), columns,
                   detail::TransposeBlock<T>{h + own.offset * n + first, n, h + first * n + own.offset, n});
    }
  }
}

template <class T>
Index Tape<T>::bytes(const Context& context, const Graph<T>& graph, Index batch, Index lanes, Linearization most) {
  const detail::TapePlan plan =
      detail::plan_tape(require_complete(graph), batch, {lanes > 0, lanes > 0 && most == Linearization::for_hessian});
  const detail::TapeMemory place = detail::place_tape(plan, graph.parameter_count(), batch, lanes, context.is_cuda());
  const Index numbers = place.elements + 2 * static_cast<Index>(graph.statistics().size());
  return numbers * static_cast<Index>(sizeof(T)) + plan.saved_bytes +
         plan.row_numbers * static_cast<Index>(sizeof(Index));
}

template <class T>
Index Tape<T>::useful_lanes(Context& context, const Graph<T>& graph, Index batch) {
  const detail::TapePlan plan = detail::plan_tape(require_complete(graph), batch);
  Index widest = 1, least = 1;
  for (const detail::NodePlan& node : plan.nodes)
    if (node.tangent >= 0) widest = std::max(widest, node.size);
  for (const auto& node : graph.nodes())
    if (node.op) least = std::max(least, node.op->worthwhile_lanes());
  return std::clamp<Index>(context.ops<T>().chunk_bytes() / (widest * static_cast<Index>(sizeof(T))), least, 32);
}

template class Tape<float>;
template class Tape<double>;

}  // namespace hso
