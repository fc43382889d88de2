// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/network_objective.hpp"

#include <fmt/format.h>

#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "objective/layout.hpp"
#include "objective/network_curvature.hpp"

namespace hso {

using detail::Axpby;

template <class T>
struct NetworkObjective<T>::Impl : detail::MicroBatches<T> {
  using detail::MicroBatches<T>::MicroBatches;
};

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
void NetworkObjective<T>::set_order(Span<const Index> rows) {
  impl_->set_order(rows);
}

template <class T>
void NetworkObjective<T>::shuffle(std::uint64_t seed) {
  impl_->shuffle(seed);
}

template <class T>
void NetworkObjective<T>::select_from_order(Index first, Index count, std::uint64_t step) {
  impl_->select_from_order(first, count, step);
}

template <class T>
void NetworkObjective<T>::set_training(bool training, std::uint64_t step) {
  impl_->set_training(training, step);
}

template <class T>
std::vector<double> NetworkObjective<T>::statistics() const {
  const std::vector<T> numbers = impl_->statistics.download();
  return {numbers.begin(), numbers.end()};
}
template <class T>
void NetworkObjective<T>::take_statistics() {
  const Index count = impl_->statistics.size();
  if (count > 0) impl_->ops.copy(count, impl_->next_statistics.data(), impl_->statistics.data());
}
template <class T>
void NetworkObjective<T>::set_statistics(Span<const double> values) {
  impl_->set_statistics(values);
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
std::vector<ParameterSlice> NetworkObjective<T>::layout() const {
  return detail::layout_of(impl_->network.graph);
}
template <class T>
Index NetworkObjective<T>::lanes() const {
  return impl_->lanes;
}
template <class T>
detail::MicroBatches<T>& NetworkObjective<T>::micro_batches() {
  return *impl_;
}

template <class T>
double NetworkObjective<T>::gradient_equivalents() const {
  return impl_->gradient_equivalents;
}

namespace {

/// A call of the method `what`: UsageError where an argument is null, or while another thread uses the context.
class Call {
 public:
  Call(Context& context, const char* what) : what_(what), in_use_(context) {}
  Call& needs(const void* argument, const char* name) {
    if (argument == nullptr) throw UsageError(fmt::format("NetworkObjective::{}: {} is null", what_, name));
    return *this;
  }

 private:
  const char* what_;
  detail::InUse in_use_;
};

}  // namespace

template <class T>
double NetworkObjective<T>::value(const T* theta) {
  Call call(impl_->context, "value");
  call.needs(theta, "theta");
  double sum = impl_->penalty(theta);
  impl_->charge(detail::kValueCost, impl_->selected);
  for (Index micro_batch = 0; micro_batch < impl_->count(); ++micro_batch) {
    check_interrupted();
    sum += impl_->trial(micro_batch).forward(theta);
  }
  return sum;
}

template <class T>
void NetworkObjective<T>::value_on_device(const T* theta, double* value) {
  Call call(impl_->context, "value_on_device");
  call.needs(theta, "theta").needs(value, "value");
  impl_->value_on_device(theta, value);
}

template <class T>
double NetworkObjective<T>::gradient(const T* theta, T* g) {
  Call call(impl_->context, "gradient");
  call.needs(theta, "theta").needs(g, "g");
  return impl_->gradient(theta, g, [](Tape<T>&, Index) {});
}

template <class T>
bool NetworkObjective<T>::announce_gradient(std::vector<std::uintptr_t>& key, Index products, Curvature kind) {
  return impl_->announce_gradient(key, products, kind);
}

template <class T>
void NetworkObjective<T>::gradient_on_device(const T* theta, T* g, double* value) {
  Call call(impl_->context, "gradient_on_device");
  call.needs(theta, "theta").needs(g, "g").needs(value, "value");
  if (impl_->count() != 1) return Objective<T>::gradient_on_device(theta, g, value);
  impl_->gradient_on_device(theta, g, value);
}

template <class T>
void NetworkObjective<T>::product_on_device(Curvature kind, const T* v, T* hv) {
  if (impl_->count() != 1) return Objective<T>::product_on_device(kind, v, hv);
  impl_->product_on_device(kind, v, hv);
}

namespace {

/// Kinds that products of a tape serve.
bool from_tape(Curvature kind) {
  return kind == Curvature::hessian || kind == Curvature::ggn || kind == Curvature::fisher_mc ||
         kind == Curvature::fisher_empirical;
}

}  // namespace

template <class T>
std::unique_ptr<LinearOperator<T>> NetworkObjective<T>::curvature(const T* theta, Curvature kind) {
  Call call(impl_->context, "curvature");
  call.needs(theta, "theta");
  const NetworkObjectiveOptions& o = impl_->options;
  if (from_tape(kind)) return detail::products_of<T>(*impl_, theta, kind, false);
  if (kind == Curvature::kfac || kind == Curvature::ekfac)
    return kronecker(theta, {.source = o.factors, .corrected = kind == Curvature::ekfac});
  if (kind == Curvature::secant) return std::make_unique<SecantOperator<T>>(*this, theta, o.secant);
  if (kind == Curvature::finite_difference) return std::make_unique<FiniteDifferenceOperator<T>>(*this, theta);
  if (kind != Curvature::diagonal) return Objective<T>::curvature(theta, kind);
  if (o.factors == Curvature::hessian) {
    const auto h = detail::products_of<T>(*impl_, theta, Curvature::hessian, false);
    const std::vector<double> d = diagonal(*h, {.probes = o.diagonal_probes, .seed = o.fisher_seed}).values;
    return std::make_unique<DiagonalOperator<T>>(context(), Span<const T>(std::vector<T>(d.begin(), d.end())));
  }
  Buffer<T> d(context(), dimension());
  detail::exact_diagonal_of<T>(*impl_, theta, o.factors, d.data());
  return std::make_unique<DiagonalOperator<T>>(context(), std::move(d));
}

template <class T>
std::unique_ptr<KroneckerOperator<T>> NetworkObjective<T>::kronecker(const T* theta, const KroneckerOptions& options) {
  Call call(impl_->context, "kronecker");
  call.needs(theta, "theta");
  return detail::kronecker_of<T>(*impl_, theta, options);
}

template <class T>
typename Objective<T>::Linearized NetworkObjective<T>::linearize(const T* theta, T* g, Curvature kind) {
  const double value = gradient(theta, g);
  if (!from_tape(kind)) return {value, curvature(theta, kind)};
  return {value, detail::products_of<T>(*impl_, theta, kind, true)};
}

template <class T>
Evaluation NetworkObjective<T>::evaluate(const T* theta) {
  Call call(impl_->context, "evaluate");
  call.needs(theta, "theta");
  const bool training = impl_->training;
  if (training) set_training(false, impl_->step);
  Evaluation out;
  detail::Hits hits;
  for (Index micro_batch = 0; micro_batch < impl_->count(); ++micro_batch) {
    Tape<T>& tape = impl_->trial(micro_batch);
    out.loss += tape.forward(theta);
    if (impl_->data.labels.size() == 0) continue;
    const detail::Hits more = impl_->count_hits(tape, micro_batch);
    hits = {hits.hits + more.hits, hits.counted + more.counted};
  }
  if (impl_->data.labels.size() > 0) out.accuracy = hits.hits / hits.counted;
  if (training) set_training(true, impl_->step);
  return out;
}

template class NetworkObjective<float>;
template class NetworkObjective<double>;

}  // namespace hso
