// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/graph_objective.hpp"

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/tape.hpp"
#include "linalg/fitting.hpp"
#include "objective/lanes_that_fit.hpp"

namespace hso {
namespace {

template <class T>
Index samples_of(const Graph<T>& graph, Index numbers) {
  if (graph.input_node() == kNoNode)
    throw UsageError(
        "GraphObjective: the graph has no input (a function of its "
        "parameters alone takes g.input({1}), one sample of ones)");
  const Index each = graph[graph.input_node()].shape.size();
  return numbers == 0 ? 1 : numbers / each;
}

Linearization purpose_of(Curvature kind) {
  return kind == Curvature::hessian ? Linearization::for_hessian : Linearization::for_ggn;
}

bool is_exact(Curvature kind) {
  return kind == Curvature::hessian || kind == Curvature::ggn || kind == Curvature::fisher_empirical;
}

}  // namespace

/// One tape for trial values, so that they do not move the point of the products.
template <class T>
struct GraphObjective<T>::Impl {
  Impl(Context& c, Graph<T> g, Index samples)
      : context(c),
        graph(std::move(g)),
        values(c, graph, samples),
        products(c, graph, samples, detail::lanes_that_fit(c, graph, samples)) {}
  Context& context;
  Graph<T> graph;
  Tape<T> values, products;
  std::uint64_t made = 0, current = 0;  ///< operators; the one whose point `products` has
  class Operator;
};

template <class T>
class GraphObjective<T>::Impl::Operator final : public LinearOperator<T> {
 public:
  Operator(Impl& f, const T* theta, Curvature kind)
      : f_(f), theta_(f.context, f.graph.parameter_count()), kind_(kind), id_(++f.made) {
    f.context.template ops<T>().copy(theta_.size(), theta, theta_.data());
  }
  double linearize(T* g) {
    f_.current = id_;
    return f_.products.linearize(theta_.data(), g, purpose_of(kind_));
  }
  Context& context() const override { return f_.context; }
  Index dimension() const override { return theta_.size(); }
  Index lanes() const override { return f_.products.lanes(); }
  void apply(View<const T> v, View<T> hv) override {
    detail::require_fitting(*this, v, hv, "GraphObjective");
    if (f_.current != id_) linearize(nullptr);
    f_.products.product(kind_, v, hv);
  }
  void to_dense(T* h) override {
    if (f_.current != id_) linearize(nullptr);
    f_.products.dense(kind_, h);
  }

 private:
  Impl& f_;
  Buffer<T> theta_;
  Curvature kind_;
  std::uint64_t id_;
};

template <class T>
GraphObjective<T>::GraphObjective(Context& context, Graph<T> graph, Span<const T> inputs, Span<const T> targets,
                                  double weight) {
  if (!(weight > 0)) throw UsageError(fmt::format("GraphObjective: weight = {}, expected above 0", weight));
  const Index samples = samples_of(graph, static_cast<Index>(inputs.size()));
  if (samples < 1) throw InputError("GraphObjective: the inputs are less than one sample");
  impl_ = std::make_unique<Impl>(context, std::move(graph), samples);
  std::vector<T> ones;
  if (inputs.empty()) ones.assign(static_cast<std::size_t>(impl_->values.input().size()), T(1));
  for (Tape<T>* tape : {&impl_->values, &impl_->products}) tape->bind(inputs.empty() ? ones : inputs, targets, weight);
}
template <class T>
GraphObjective<T>::~GraphObjective() = default;

template <class T>
Context& GraphObjective<T>::context() const {
  return impl_->context;
}
template <class T>
Index GraphObjective<T>::dimension() const {
  return impl_->graph.parameter_count();
}
template <class T>
const Graph<T>& GraphObjective<T>::graph() const {
  return impl_->graph;
}
template <class T>
double GraphObjective<T>::value(const T* theta) {
  return impl_->values.forward(theta);
}
template <class T>
double GraphObjective<T>::gradient(const T* theta, T* g) {
  return impl_->values.gradient(theta, g);
}

template <class T>
std::unique_ptr<LinearOperator<T>> GraphObjective<T>::curvature(const T* theta, Curvature kind) {
  if (!is_exact(kind)) return Objective<T>::curvature(theta, kind);
  const auto& loss = impl_->graph[impl_->graph.loss_node()];
  if (kind == Curvature::ggn && loss.inputs.size() < 2)
    throw UsageError("GraphObjective: the Gauss-Newton matrix of as_loss is zero; use hessian, or squared_error");
  return std::make_unique<typename Impl::Operator>(*impl_, theta, kind);
}

template <class T>
typename Objective<T>::Linearized GraphObjective<T>::linearize(const T* theta, T* g, Curvature kind) {
  if (!is_exact(kind)) return Objective<T>::linearize(theta, g, kind);
  auto made = curvature(theta, kind);
  const double value = static_cast<typename Impl::Operator&>(*made).linearize(g);
  return {value, std::move(made)};
}

template class GraphObjective<float>;
template class GraphObjective<double>;

}  // namespace hso
