// SPDX-License-Identifier: Apache-2.0
#include "curvature/running_factors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "curvature/network_curvature.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/linalg.hpp"
#include "linalg/mean_diagonal.hpp"

namespace hso::detail {
namespace {

/// Averages, fresh factors, and inverses or eigenvectors, beside two tables.
template <class T>
NetworkPieces<T>& with_room(NetworkPieces<T>& pieces) {
  Index numbers = 0;
  for (const LayerBlock& b : layer_blocks(pieces.network.graph))
    numbers += 3 * (checked_multiply(b.columns(), b.columns()) + checked_multiply(b.rows(), b.rows())) + 2 * b.size();
  const double each = static_cast<double>(numbers) / static_cast<double>(pieces.n());
  require_memory(pieces.context, "kfac: running factors and their inverses", pieces.n(), [&](Index n) {
    return static_cast<Index>(each * static_cast<double>(n)) * static_cast<Index>(sizeof(T));
  });
  return pieces;
}

/// Squared norms between which an eigensolver needs no scale.
template <class T>
bool ordinary_size(double square) {
  const double limit = std::is_same_v<T, float> ? 1e24 : 1e200;
  return square > 1 / limit && square < limit;
}

/// Rows and columns of all blocks.
Index orders(const std::vector<LayerBlock>& blocks) {
  Index sum = 0;
  for (const LayerBlock& b : blocks) sum += b.rows() + b.columns();
  return sum;
}

}  // namespace

template <class T>
RunningFactors<T>::RunningFactors(NetworkPieces<T>& pieces, Curvature source)
    : context_(with_room(pieces).context),
      source_(source),
      average_(context_, pieces.network.graph, false, 0),
      fresh_(context_, pieces.network.graph, false, 0),
      queued_(dynamic_cast<QueuedFactorisations<T>*>(&context_.ops<T>())) {
  const std::vector<LayerBlock> blocks = layer_blocks(pieces.network.graph);
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
double RunningFactors<T>::gradient(NetworkPieces<T>& pieces, const T* theta, T* g, std::uint64_t draw) {
  const double value = gradient_with_factors(pieces, theta, g, source_, draw, fresh_);
  if (queued_ == nullptr) return value;
  sizes_->start();
  measure(sizes_->take(static_cast<Index>(2 * traces_.size())));
  sizes_->post();
  return value;
}

template <class T>
void RunningFactors<T>::gradient_on_device(NetworkPieces<T>& pieces, const T* theta, T* g, double* value,
                                           std::uint64_t draw) {
  std::vector<std::uintptr_t> key;
  if (queued_ == nullptr || !pieces.announce_gradient(key, 0, source_))
    throw UsageError("kfac: a gradient on the device needs a device, and rows that fit one piece");
  pieces.gradient_on_device(theta, g, value);
  pieces.count(cost_of_factors(pieces, source_), pieces.selected);
  sizes_->start();
  double* sizes = sizes_->take(static_cast<Index>(2 * traces_.size()));
  const auto launch = [&] {
    factors_on_device(pieces, source_, draw, fresh_);
    measure(sizes);
  };
  source_ == Curvature::fisher_mc ? launch() : recorded_->run(key, launch);
  sizes_->post();
}

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
void RunningFactors<T>::applied(const T* g, T* step, const std::function<void()>& launch) {
  const std::uintptr_t key[] = {reinterpret_cast<std::uintptr_t>(g), reinterpret_cast<std::uintptr_t>(step)};
  queued_ == nullptr ? launch() : recorded_->run(key, launch);
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

template <class T>
void RunningFactors<T>::average(double keep) {
  look(keep);
  bound_ = -1;
  auto& ops = context_.ops<T>();
  for (std::size_t i = 0; i < average_.blocks.size(); ++i) {
    auto &to = average_.blocks[i], &from = fresh_.blocks[i];
    ops.axpby(to.a.size(), static_cast<T>(1 - keep), from.a.data(), static_cast<T>(keep), to.a.data());
    ops.axpby(to.b.size(), static_cast<T>(1 - keep), from.b.data(), static_cast<T>(keep), to.b.data());
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
std::string RunningFactors<T>::invert(double delta) {
  inverse_a_.resize(average_.blocks.size());
  inverse_b_.resize(average_.blocks.size());
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

template <class T>
std::string RunningFactors<T>::decompose() {
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
void RunningFactors<T>::correct(NetworkPieces<T>& pieces, const T* theta, std::uint64_t draw, double keep) {
  largest_ = -1;
  average_tables(pieces, theta, source_, draw, keep, average_);
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
