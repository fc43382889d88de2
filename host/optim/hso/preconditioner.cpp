// SPDX-License-Identifier: Apache-2.0
#include "optim/hso/preconditioner.hpp"

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "objective/kronecker_state.hpp"
#include "objective/micro_batches.hpp"

namespace hso::detail {

template <class T>
void Preconditioner<T>::renew(Objective<T>& objective, const T* theta) {
  inverse_.reset();
  factors_ = nullptr;
  diagonal_ = nullptr;
  source_ = objective.curvature(theta, kind_ == Preconditioning::kfac ? Curvature::kfac : Curvature::diagonal);
  factors_ = source_->kronecker();
  diagonal_ = source_->diagonal_entries();
  if (factors_ == nullptr && diagonal_ == nullptr)
    throw UsageError("optimizer hso.cg: preconditioners diagonal and kfac need a network's layers; use none");
}

template <class T>
void Preconditioner<T>::visit_state(StateVisitor& state) {
  kind_ == Preconditioning::kfac ? visit_factors(state) : visit_diagonal(state);
  if (state.reads()) inverse_.reset();
}

/// An operator shows copies of its factors, and is made anew from what is read.
template <class T>
void Preconditioner<T>::visit_factors(StateVisitor& state) {
  MicroBatches<T>& batches = objective_->curvature_source().network()->micro_batches();
  auto read =
      std::make_unique<KroneckerState<T>>(batches.context, batches.network.graph, false, batches.options.weight_decay);
  state.parts("block", read->blocks.size(), [&](std::size_t i) {
    const auto at = static_cast<Index>(i);
    std::vector<T> a, b;
    if (!state.reads()) a = factors_->input_factor(at), b = factors_->output_factor(at);
    state("a", a);
    state("b", b);
    if (!state.reads()) return;
    read->blocks[i].a.upload(a);
    read->blocks[i].b.upload(b);
  });
  if (!state.reads()) return;
  source_ = std::make_unique<KroneckerOperator<T>>(std::move(read));
  factors_ = source_->kronecker();
}

template <class T>
void Preconditioner<T>::visit_diagonal(StateVisitor& state) {
  if (!state.reads()) return state("diagonal", const_cast<Buffer<T>&>(*diagonal_));  // it is only looked at
  Buffer<T> entries(objective_->context(), objective_->dimension());
  state("diagonal", entries);
  source_ = std::make_unique<DiagonalOperator<T>>(objective_->context(), std::move(entries));
  diagonal_ = source_->diagonal_entries();
}

template <class T>
LinearOperator<T>& Preconditioner<T>::at(double delta) {
  if (inverse_ && delta == delta_) return *inverse_;
  delta_ = delta;
  inverse_ = factors_ != nullptr ? factors_->inverse(delta) : power(*diagonal_, delta);
  return *inverse_;
}

/// (d + delta)^-0.75; x^0.75 = sqrt(x) sqrt(sqrt(x)).
template <class T>
std::unique_ptr<LinearOperator<T>> Preconditioner<T>::power(const Buffer<T>& d, double delta) {
  Context& context = source_->context();
  auto& ops = context.ops<T>();
  const Index n = d.size();
  Scratch scratch(context);
  T* root = scratch.take<T>(n);
  Buffer<T> out(context, n);
  ops.fill(n, static_cast<T>(delta), out.data());
  ops.axpby(n, T(1), d.data(), T(1), out.data());
  ops.for_each(n, 1, SampleRoots<T>{out.data(), root, 1});
  ops.for_each(n, 1, SampleRoots<T>{root, out.data(), 1});
  ops.for_each(1, n, Scale<T>{root, out.data(), n, out.data(), n, false});
  ops.for_each(1, n, Reciprocal<T>{out.data(), out.data(), T(0), T(1)});
  return std::make_unique<DiagonalOperator<T>>(context, std::move(out));
}

template class Preconditioner<float>;
template class Preconditioner<double>;

}  // namespace hso::detail
