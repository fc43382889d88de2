// SPDX-License-Identifier: Apache-2.0
#include "objective/running_factors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "linalg/mean_diagonal.hpp"
#include "objective/network_curvature.hpp"

namespace hso::detail {
namespace {

/// Averages, fresh factors, and inverses or eigenvectors, beside two tables.
template <class T>
MicroBatches<T>& with_room(MicroBatches<T>& batches) {
  Index numbers = 0;
  for (const LayerBlock& b : layer_blocks(batches.network.graph))
    numbers += 3 * (checked_multiply(b.columns(), b.columns()) + checked_multiply(b.rows(), b.rows())) + 2 * b.size();
  const double each = static_cast<double>(numbers) / static_cast<double>(batches.n());
  require_memory(batches.context, "kfac: running factors and their inverses", batches.n(), [&](Index n) {
    return static_cast<Index>(each * static_cast<double>(n)) * static_cast<Index>(sizeof(T));
  });
  return batches;
}

/// Rows and columns of all blocks.
Index orders(const std::vector<LayerBlock>& blocks) {
  Index sum = 0;
  for (const LayerBlock& b : blocks) sum += b.rows() + b.columns();
  return sum;
}

}  // namespace

template <class T>
RunningFactors<T>::RunningFactors(MicroBatches<T>& batches, Curvature source)
    : context_(with_room(batches).context),
      source_(source),
      average_(context_, batches.network.graph, false, 0),
      fresh_(context_, batches.network.graph, false, 0),
      queued_(context_.ops<T>().queued_factorisations()) {
  const std::vector<LayerBlock> blocks = layer_blocks(batches.network.graph);
  const auto count = static_cast<Index>(blocks.size());
  Index largest = 0;
  for (const LayerBlock& b : blocks) largest = std::max({largest, b.rows(), b.columns()});
  if (queued_ != nullptr && largest > queued_->queued_limit()) queued_ = nullptr;
  if (queued_ == nullptr) return;
  using Q = QueuedNumbers;
  recorded_ = context_.make_recorded();
  sizes_ = std::make_unique<Q>(context_, 4 * count);
  outcome_ =
      std::make_unique<Q>(context_, Q::doubles_for<int>(4 * count) + Q::doubles_for<T>(orders(blocks)) + 2 * count);
  ones_ = Buffer<T>(context_, largest);
  context_.ops<T>().fill(largest, T(1), ones_.data());
  traces_.assign(static_cast<std::size_t>(2 * count), 0);
}

template <class T>
void RunningFactors<T>::visit_state(StateVisitor& state) {
  state.part("average", [&] { average_.visit_state(state); });
  for (auto* inverses : {&inverse_a_, &inverse_b_}) inverses->resize(average_.blocks.size());
  state.seldom(inverse_version_, [&] {
    state.parts("inverse", average_.blocks.size(), [&](std::size_t i) {
      state("a", inverse_a_[i], context_);
      state("b", inverse_b_[i], context_);
    });
  });
  state("traces", traces_);
  state("ordinary", ordinary_);
  state("largest", largest_);
  state("bound", bound_);
}

template <class T>
double RunningFactors<T>::gradient(MicroBatches<T>& batches, const T* theta, T* g, std::uint64_t draw) {
  const double value = gradient_with_factors(batches, theta, g, source_, draw, fresh_);
  if (queued_ == nullptr) return value;
  sizes_->start();
  measure(sizes_->take(static_cast<Index>(2 * traces_.size())));
  sizes_->post();
  return value;
}

template <class T>
void RunningFactors<T>::gradient_on_device(MicroBatches<T>& batches, const T* theta, T* g, double* value,
                                           std::uint64_t draw) {
  std::vector<std::uintptr_t> key;
  if (queued_ == nullptr || !batches.announce_gradient(key, 0, source_))
    throw UsageError("kfac: a gradient on the device needs a device, and rows that fit one micro-batch");
  batches.gradient_on_device(theta, g, value);
  batches.charge(cost_of_factors(batches, source_), batches.selected);
  sizes_->start();
  double* sizes = sizes_->take(static_cast<Index>(2 * traces_.size()));
  const auto launch = [&] {
    factors_on_device(batches, source_, draw, fresh_);
    measure(sizes);
  };
  source_ == Curvature::fisher_mc ? launch() : recorded_->run(key, launch);
  sizes_->post();
}

template <class T>
void RunningFactors<T>::applied(const T* g, T* step, const std::function<void()>& launch) {
  const std::uintptr_t key[] = {reinterpret_cast<std::uintptr_t>(g), reinterpret_cast<std::uintptr_t>(step)};
  queued_ == nullptr ? launch() : recorded_->run(key, launch);
}

template <class T>
void RunningFactors<T>::average(double keep) {
  look(keep);
  bound_ = -1;
  average_.factors_version.change();
  auto& ops = context_.ops<T>();
  for (std::size_t i = 0; i < average_.blocks.size(); ++i) {
    auto &to = average_.blocks[i], &from = fresh_.blocks[i];
    ops.axpby(to.a.size(), static_cast<T>(1 - keep), from.a.data(), static_cast<T>(keep), to.a.data());
    ops.axpby(to.b.size(), static_cast<T>(1 - keep), from.b.data(), static_cast<T>(keep), to.b.data());
  }
}

template <class T>
std::string RunningFactors<T>::invert(double delta) {
  inverse_a_.resize(average_.blocks.size());
  inverse_b_.resize(average_.blocks.size());
  inverse_version_.change();
  if (invert_together(delta)) return {};
  for (std::size_t i = 0; i < average_.blocks.size(); ++i) {
    const auto& block = average_.blocks[i];
    const double a = mean_diagonal(context_, block.place.columns(), block.a.data(), block.place.columns());
    const double b = mean_diagonal(context_, block.place.rows(), block.b.data(), block.place.rows());
    const double pi = a > 0 && b > 0 ? std::sqrt(a / b) : 1;
    const double root = std::sqrt(delta);
    if (std::string why = invert_one(block.place, block.place.columns(), block.a, root * pi, inverse_a_[i]);
        !why.empty())
      return why;
    if (std::string why = invert_one(block.place, block.place.rows(), block.b, root / pi, inverse_b_[i]); !why.empty())
      return why;
  }
  return {};
}

template <class T>
std::string RunningFactors<T>::invert_one(const LayerBlock& place, Index n, const Buffer<T>& factor, double shift,
                                          Buffer<T>& out) {
  auto& ops = context_.ops<T>();
  if (out.size() != factor.size()) out = Buffer<T>(context_, factor.size());
  ops.copy(n * n, factor.data(), out.data());
  ops.for_each(1, n, AddDiagonal<T>{out.data(), n, static_cast<T>(shift)});
  const BlockingWork work(n);
  const CholeskyResult r = cholesky(context_, out.view().reshaped({n, n}));
  if (r.status == LinalgStatus::ok && ops.potri(n, out.data()) == 0) return {};
  return fmt::format("a damped factor of '{}' has no Cholesky factor ({}); raise delta",
                     average_.graph[place.weight_node].name, name_of(r.status));
}

template <class T>
void RunningFactors<T>::apply_inverse(const T* g, T* step) {
  applied(g, step, [&] {
    average_.multiply(vector_view(g, n()), vector_view(step, n()), [&](std::size_t i) {
      return std::pair<const T*, const T*>(inverse_b_[i].data(), inverse_a_[i].data());
    });
  });
}

template <class T>
double RunningFactors<T>::bound() const {
  if (bound_ >= 0) return bound_;
  double most = 0;
  for (const auto& block : average_.blocks) {
    auto& ops = context_.ops<T>();
    most = std::max(most, ops.nrm2(block.a.size(), block.a.data()) * ops.nrm2(block.b.size(), block.b.data()));
  }
  return most;
}

template <class T>
double RunningFactors<T>::largest() const {
  if (largest_ >= 0) return largest_;
  auto& ops = context_.ops<T>();
  double most = 0;
  if (queued_ == nullptr) {
    for (const auto& block : average_.blocks)
      most = std::max(most, ops.max_abs(block.table.size(), block.table.data()));
    return most;
  }
  outcome_->start();
  for (const auto& block : average_.blocks)
    ops.norms_on_device(block.table.size(), block.table.data(), outcome_->take(2));
  outcome_->post();
  const Span<const double> norms = outcome_->values();
  for (std::size_t i = 1; i < norms.size(); i += 2) most = std::max(most, norms[i]);
  return most;
}

template <class T>
std::string RunningFactors<T>::decompose() {
  average_.basis_version.change();
  if (decompose_together()) return {};
  largest_ = -1;
  try {
    average_.decompose();
  } catch (const NumericalError& e) {
    return e.what();
  }
  return {};
}

template <class T>
void RunningFactors<T>::correct(MicroBatches<T>& batches, const T* theta, std::uint64_t draw, double keep) {
  largest_ = -1;
  average_.basis_version.change();
  average_tables(batches, theta, source_, draw, keep, average_);
}

template <class T>
void RunningFactors<T>::apply_corrected(const T* g, double delta, T* step) {
  auto& ops = context_.ops<T>();
  reciprocals_.resize(average_.blocks.size());
  std::vector<const T*> tables;
  for (std::size_t i = 0; i < reciprocals_.size(); ++i) {
    const Buffer<T>& table = average_.blocks[i].table;
    if (reciprocals_[i].size() != table.size()) reciprocals_[i] = Buffer<T>(context_, table.size());
    ops.for_each(1, table.size(), DampedReciprocal<T>{table.data(), reciprocals_[i].data(), static_cast<T>(delta)});
    tables.push_back(reciprocals_[i].data());
  }
  applied(g, step, [&] { average_.multiply_spectrum(vector_view(g, n()), vector_view(step, n()), tables); });
}

template class RunningFactors<float>;
template class RunningFactors<double>;

}  // namespace hso::detail
