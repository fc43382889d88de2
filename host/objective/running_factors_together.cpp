// SPDX-License-Identifier: Apache-2.0
//
// Factorisations of all blocks at once, where results come late: what they need and what they found are read together.
#include <algorithm>
#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "objective/running_factors.hpp"

namespace hso::detail {
namespace {

/// Squared norms between which an eigensolver needs no scale.
template <class T>
bool ordinary_size(double square) {
  const double limit = std::is_same_v<T, float> ? 1e24 : 1e200;
  return square > 1 / limit && square < limit;
}

}  // namespace

/// At sizes[4 i]: |A|^2, tr A, |B|^2, tr B of block i.
template <class T>
void RunningFactors<T>::measure(double* sizes) {
  auto& ops = context_.ops<T>();
  Scratch scratch(context_);
  T* diagonal = scratch.take<T>(ones_.size());
  for (const auto& block : fresh_.blocks)
    for (const Buffer<T>* factor : {&block.a, &block.b}) {
      const Index n = factor == &block.a ? block.place.columns() : block.place.rows();
      ops.dots_on_device(1, n * n, factor->data(), n * n, factor->data(), n * n, sizes++);
      ops.for_each(1, n, Diagonal<T>{factor->data(), diagonal, n});
      ops.dots_on_device(1, n, diagonal, n, ones_.data(), n, sizes++);
    }
}

template <class T>
void RunningFactors<T>::look(double keep) {
  if (queued_ == nullptr) return;
  const Span<const double> found = sizes_->values();
  ordinary_ = ordinary_ || keep == 0;
  for (std::size_t i = 0; i < traces_.size(); ++i) {
    ordinary_ = ordinary_ && ordinary_size<T>(found[2 * i]);
    traces_[i] = keep == 0 ? found[2 * i + 1] : keep * traces_[i] + (1 - keep) * found[2 * i + 1];
  }
}

/// The first `infos` numbers of the outcome say whether the factorisations before it succeeded; this waits.
template <class T>
bool RunningFactors<T>::succeeded(Index infos) {
  outcome_->post();
  const std::vector<int> info = outcome_->values_as<int>(0, infos);
  return std::all_of(info.begin(), info.end(), [](int i) { return i == 0; });
}

template <class T>
std::vector<typename QueuedFactorisations<T>::Matrix> RunningFactors<T>::damped_copies(double delta) {
  auto& ops = context_.ops<T>();
  std::vector<Matrix> out;
  const auto copy = [&](const Buffer<T>& factor, Index n, double shift, Buffer<T>& to) {
    if (to.size() != factor.size()) to = Buffer<T>(context_, factor.size());
    ops.copy(n * n, factor.data(), to.data());
    ops.for_each(1, n, AddDiagonal<T>{to.data(), n, static_cast<T>(shift)});
    ops.for_each(n, n, Symmetrize<T>{to.data(), n});
    out.push_back({n, to.data(), nullptr});
  };
  const double root = std::sqrt(delta);
  for (std::size_t i = 0; i < average_.blocks.size(); ++i) {
    const auto& block = average_.blocks[i];
    const Index columns = block.place.columns(), rows = block.place.rows();
    const double a = std::abs(traces_[2 * i]) / static_cast<double>(columns);
    const double b = std::abs(traces_[2 * i + 1]) / static_cast<double>(rows);
    const double pi = a > 0 && b > 0 ? std::sqrt(a / b) : 1;
    copy(block.a, columns, root * pi, inverse_a_[i]);
    copy(block.b, rows, root / pi, inverse_b_[i]);
  }
  return out;
}

template <class T>
bool RunningFactors<T>::invert_together(double delta) {
  if (queued_ == nullptr || !ordinary_) return false;
  auto& ops = context_.ops<T>();
  const std::vector<Matrix> matrices = damped_copies(delta);
  const auto infos = static_cast<Index>(2 * matrices.size());
  outcome_->start();
  queued_->invert_queued(matrices, outcome_->template take_as<int>(infos));
  for (const auto& block : average_.blocks)
    for (const Buffer<T>* factor : {&block.a, &block.b})
      outcome_->dot(ops, factor->size(), factor->data(), factor->data());
  if (!succeeded(infos)) return false;
  const double* squares = outcome_->values().data() + QueuedNumbers::doubles_for<int>(infos);
  bound_ = 0;
  for (std::size_t i = 0; i < average_.blocks.size(); ++i)
    bound_ = std::max(bound_, std::sqrt(squares[2 * i]) * std::sqrt(squares[2 * i + 1]));
  return true;
}

template <class T>
bool RunningFactors<T>::decompose_together() {
  if (queued_ == nullptr || !ordinary_) return false;
  auto& ops = context_.ops<T>();
  const auto infos = static_cast<Index>(2 * average_.blocks.size());
  Index total = 0;
  for (const auto& block : average_.blocks) total += block.place.columns() + block.place.rows();
  outcome_->start();
  int* info = outcome_->template take_as<int>(infos);
  T* values = outcome_->template take_as<T>(total);
  std::vector<Matrix> matrices;
  const auto add = [&](const Buffer<T>& factor, Index n, Buffer<T>& q) {
    if (q.size() != n * n) q = Buffer<T>(context_, n * n);
    ops.copy(n * n, factor.data(), q.data());
    ops.for_each(n, n, Symmetrize<T>{q.data(), n});
    matrices.push_back({n, q.data(), values});
    values += n;
  };
  for (auto& block : average_.blocks) {
    add(block.a, block.place.columns(), block.qa);
    add(block.b, block.place.rows(), block.qb);
  }
  queued_->syevd_queued(matrices, info);
  if (!succeeded(infos)) return false;
  const std::vector<T> found = outcome_->template values_as<T>(QueuedNumbers::doubles_for<int>(infos), total);
  if (!std::all_of(found.begin(), found.end(), [](T v) { return std::isfinite(v); })) return false;
  const std::vector<double> wide(found.begin(), found.end());
  Span<const double> left(wide);
  largest_ = 0;
  for (auto& block : average_.blocks) {
    const auto columns = static_cast<std::size_t>(block.place.columns());
    const auto rows = static_cast<std::size_t>(block.place.rows());
    largest_ =
        std::max(largest_, average_.set_eigenvalues(block, left.subspan(0, columns), left.subspan(columns, rows)));
    left = left.subspan(columns + rows);
  }
  average_.decomposed = true;
  return true;
}

template void RunningFactors<float>::measure(double*);
template void RunningFactors<float>::look(double);
template bool RunningFactors<float>::decompose_together();
template bool RunningFactors<float>::invert_together(double);
template void RunningFactors<double>::measure(double*);
template void RunningFactors<double>::look(double);
template bool RunningFactors<double>::decompose_together();
template bool RunningFactors<double>::invert_together(double);

}  // namespace hso::detail
