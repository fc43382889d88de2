// SPDX-License-Identifier: Apache-2.0
#include "linalg/block_lanczos.hpp"

#include <algorithm>
#include <numbers>
#include <numeric>
#include <optional>
#include <utility>

#include "hsogpu/core/interrupt.hpp"

namespace hso::detail {

std::vector<Index> wanted(const std::vector<double>& values, Index count, SpectrumEnd which) {
  const auto m = static_cast<Index>(values.size());
  count = std::min(count, m);
  std::vector<Index> order(values.size());
  std::iota(order.begin(), order.end(), Index{0});
  const auto size = [&](Index i) { return std::abs(values[static_cast<std::size_t>(i)]); };
  if (which == SpectrumEnd::magnitude)
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return size(a) > size(b); });
  const Index low = which == SpectrumEnd::smallest ? count : which == SpectrumEnd::both ? count / 2 : 0;
  if (which != SpectrumEnd::magnitude) std::rotate(order.begin() + low, order.end() - (count - low), order.end());
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

std::vector<Index> nearest(const std::vector<double>& values, Index count, double number) {
  const auto at = [&](Index i) { return values[static_cast<std::size_t>(i)]; };
  const auto m = static_cast<Index>(values.size());
  Index first = std::lower_bound(values.begin(), values.end(), number) - values.begin(), end = first;
  while (end - first < std::min(count, m))
    if (end == m || (first > 0 && number - at(first - 1) <= at(end) - number))
      --first;
    else
      ++end;
  std::vector<Index> order(static_cast<std::size_t>(end - first));
  std::iota(order.begin(), order.end(), first);
  return order;
}

/// A block that has grown must leave room for the wanted pairs at a restart.
Index widest_block(const LanczosOptions& o, Index n, Index capacity) {
  const Index room = std::min((capacity - o.count) / 3, n);
  return o.confidence > 0 ? std::max(o.block, std::min(room, std::max(kWidestPanel, 2 * o.block))) : o.block;
}

template <class T>
BlockLanczos<T>::BlockLanczos(LinearOperator<T>& a, const LanczosOptions& o, Index capacity, std::optional<double> near)
    : a_(a),
      o_(o),
      near_(near),
      n_(a.dimension()),
      capacity_(capacity),
      widest_(widest_block(o, n_, capacity)),
      wait_for_each_(!a.context().is_cuda()),
      basis_(a.context(), n_, capacity + widest_),
      log_(a.context(), log_panels(widest_), std::min(widest_, kWidestPanel), capacity + widest_),
      scale_(a.context(), 1) {}

template <class T>
EigenPairs<T> BlockLanczos<T>::run() {
  start();
  while (out_.stop.empty()) {
    advance();
    const bool stopped = o_.interrupted && o_.interrupted();
    if (wait_for_each_ || stopped || time_to_look() || !log_.room(most_panels(block_))) collect();
    if (out_.stop.empty() && steps_.empty() && (stopped || time_to_look())) {
      std::optional<InterruptScope> to_the_end;  // what was found before the stop is still projected
      if (stopped) to_the_end.emplace([] { return false; });
      search_.on ? look_for_missing(stopped) : look(stopped);
    }
    if (out_.stop.empty() && steps_.empty() && basis_.size() + block_ > capacity_) restart();
  }
  return finish();
}

template <class T>
void BlockLanczos<T>::start() {
  t_.assign(static_cast<std::size_t>(capacity_ * capacity_), 0);
  block_ = std::min(o_.block, n_);
  auto& ops = a_.context().template ops<T>();
  ops.for_each(1, block_ * n_, RandomFill<T>{basis_.row(0), o_.seed, 0, Distribution::normal, 0, 1});
  std::vector<double> r;
  basis_.orthonormalize(0, block_, 0, o_.seed, r);
  set_scale();
}

template <class T>
void BlockLanczos<T>::set_scale() {
  a_.context().template ops<double>().fill(1, out_.scale, scale_.data());
}

/// Multiplies the block behind the basis and makes the next one.
template <class T>
void BlockLanczos<T>::advance() {
  const Step step{basis_.size(), block_, std::min(block_, n_ - basis_.size() - block_)};
  const Index m = step.end();
  basis_.resize(m);
  a_.apply(vector_view<const T>(basis_.row(step.first), n_, step.block), vector_view(basis_.row(m), n_, step.block));
  out_.products += step.block;
  const Index all = step.block * n_;
  a_.context().template ops<T>().dots_on_device(1, all, basis_.row(m), all, basis_.row(m), all, log_.product());
  basis_.append(m, step.next, step.block, scale_.data(), log_);
  basis_.project_beside(m, m + step.next, step.block - step.next, log_);
  steps_.push_back(step);
  block_ = step.next;
}

/// Reads what the steps since the last reading left, in their order, until one ends the run or must be repaired.
template <class T>
void BlockLanczos<T>::collect() {
  std::vector<PanelNumbers> panels = log_.read();
  auto panel = panels.begin();
  for (const Step& step : std::exchange(steps_, {})) {
    const auto last = panel + panel_count(step.next) + panel_count(step.block - step.next);
    if (!take(step, {panel, last})) return;
    panel = last;
  }
}

/// One step's row of t and leak. False where the steps behind it do not count.
template <class T>
bool BlockLanczos<T>::take(const Step& step, Span<PanelNumbers> panels) {
  const Index m = step.end(), block = step.block;
  const double size = std::sqrt(panels.front().product);
  if (!std::isfinite(size)) {
    out_.stop = "not_finite";
    out_.converged = 0;
    basis_.resize(step.first);
    return false;
  }
  out_.scale = std::max(out_.scale, size / std::sqrt(static_cast<double>(block)));
  const auto made = panels.first(static_cast<std::size_t>(panel_count(step.next)));
  const bool repaired = basis_.repair(made, scale_.data(), o_.seed, log_);
  std::vector<double> h(static_cast<std::size_t>(m * block));
  leak_.assign(static_cast<std::size_t>(block * block), 0);
  Index column = 0;
  for (const PanelNumbers& panel : panels) {
    place(panel, step, column, h);
    column += panel.width;
  }
  if (step.next > 0 && step.next < block)
    for (double& entry : leak_) entry *= std::numbers::sqrt2;
  see_rounding(step, h);
  extend_projection(step, h);
  last_ = block;
  if (!repaired) return true;
  basis_.resize(m);
  block_ = step.next;
  wait_for_each_ = true;
  return false;
}

/// Coefficients of the panel's rows, `column` and on of the block: against the basis into h[m][block], among the new
/// rows into leak. Fewer dimensions than rows may be left: rows from step.next on wait for the next product. All rows
/// leak into the same few dimensions, so |a + b|^2 <= 2 |a|^2 + 2 |b|^2 and |sum of m|^2 <= m sum of squares make a
/// bound.
template <class T>
void BlockLanczos<T>::place(const PanelNumbers& panel, const Step& step, Index column, std::vector<double>& h) {
  const Index m = step.end(), block = step.block;
  const auto a = [&](Index i, Index j) { return panel.a[static_cast<std::size_t>(i * panel.width + j)]; };
  for (Index j = 0; j < panel.width; ++j) {
    for (Index i = 0; i < m; ++i) h[static_cast<std::size_t>(i * block + column + j)] = a(i, j);
    if (column < step.next)
      for (Index l = 0; l < column + panel.width; ++l)
        leak_[static_cast<std::size_t>(l * block + column + j)] = a(m + l, j);
    else if (step.next > 0)
      leak_[static_cast<std::size_t>((column + j) * (block + 1))] =
          std::sqrt(static_cast<double>(block - step.next)) * a(m + j, j);
  }
}

/// A product lies in its own block, the one before and the next: its other coefficients are the error of the product
/// and of the projections.
template <class T>
void BlockLanczos<T>::see_rounding(const Step& step, const std::vector<double>& h) {
  if (steps_since_ > 0 && !search_.on)
    for (Index i = 0; i < last_first_ * step.block; ++i) {
      zeros_ += h[static_cast<std::size_t>(i)] * h[static_cast<std::size_t>(i)];
      ++zeros_seen_;
    }
  last_first_ = step.first;
  ++steps_since_;
  if (zeros_seen_ > 0)
    out_.rounding = std::max(out_.rounding, 2 * std::sqrt(static_cast<double>(step.end()) * zeros_ / zeros_seen_));
}

template <class T>
void BlockLanczos<T>::extend_projection(const Step& step, const std::vector<double>& h) {
  const Index first = step.first, block = step.block;
  for (Index i = 0; i < step.end(); ++i)
    for (Index j = 0; j < block; ++j) {
      const double value = h[static_cast<std::size_t>(i * block + j)];
      const bool inside = i >= first;
      t(i, first + j) = inside ? 0.5 * (value + h[static_cast<std::size_t>((first + j) * block + i - first)]) : value;
      t(first + j, i) = t(i, first + j);
    }
}

template <class T>
bool BlockLanczos<T>::time_to_look() const {
  const Index m = basis_.size(), since = m - looked_;
  const bool full = m + block_ > capacity_, done = block_ == 0, spent = out_.products >= most_products();
  return full || done || spent || (m >= o_.count && since >= std::max(least_interval(), near_ ? m / 20 : m / 10));
}

/// |R s_last| for Ritz vector i.
template <class T>
double BlockLanczos<T>::residual(Index i) const {
  const Index m = basis_.size();
  double sum = 0;
  for (Index l = 0; l < last_; ++l) {
    double part = 0;
    for (Index j = 0; j < last_; ++j)
      part += leak_[static_cast<std::size_t>(l * last_ + j)] *
              ritz_.vectors[static_cast<std::size_t>(i * m + m - last_ + j)];
    sum += part * part;
  }
  return std::sqrt(sum) + dropped_;
}

/// Of the chosen pair k. Values alone are as near to eigenvalues as to a lower bound of all of them: the k-th smallest
/// lies between the bound and the k-th smallest Ritz value (Cauchy). Of a singular matrix that comes long before its
/// crowd of small values is resolved.
template <class T>
double BlockLanczos<T>::error_of(Index k) const {
  const Index i = chosen_[static_cast<std::size_t>(k)];
  const Index low = o_.which == SpectrumEnd::smallest ? count() : o_.which == SpectrumEnd::both ? count() / 2 : 0;
  const double own = residual(i);
  if (near_ || o_.vectors || !o_.lower_bound || k >= low) return own;
  return std::min(own, std::max(0.0, ritz_.values[static_cast<std::size_t>(i)] - *o_.lower_bound));
}

/// The Ritz values of what has been multiplied, and which of them are wanted.
template <class T>
void BlockLanczos<T>::project() {
  const Index m = basis_.size();
  looked_ = m;
  std::vector<double> a(static_cast<std::size_t>(m * m));
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < m; ++j) a[static_cast<std::size_t>(i * m + j)] = t(i, j);
  ritz_ = host_eigh(std::move(a), m);
  out_.scale = std::max({out_.scale, std::abs(ritz_.values.front()), std::abs(ritz_.values.back())});
  chosen_ = wanted_of(ritz_.values, o_.count);
  out_.converged = 0;
  set_scale();
}

template <class T>
void BlockLanczos<T>::look(bool stopped) {
  if (!stopped && !worth_projecting()) return;
  project();
  for (Index k = 0; k < count(); ++k) out_.converged += error_of(k) <= tolerance();
  if (block_ == 0) {
    out_.stop = "complete";
    out_.extremes = {.confirmed = true, .confidence = 1};
  } else if (count() == o_.count && out_.converged == o_.count) {
    end_with_pairs(stopped);
  }
  if (!out_.stop.empty() || search_.on) return;
  if (near_ && one_krylov_space() && too_dense(recurrence(0)))
    out_.stop = "too_dense";
  else if (out_.products >= most_products())
    out_.stop = "max_products";
  else if (near_ && basis_.size() + block_ > capacity_)
    out_.stop = "basis_full";
  else if (stopped)
    out_.stop = "interrupted";
}

template <class T>
std::vector<double> BlockLanczos<T>::rows_of(const std::vector<Index>& which) const {
  const auto m = static_cast<std::size_t>(basis_.size());
  std::vector<double> c;
  for (Index i : which) {
    const auto begin = ritz_.vectors.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * m);
    c.insert(c.end(), begin, begin + static_cast<std::ptrdiff_t>(m));
  }
  return c;
}

/// Keeps the wanted Ritz vectors and some beyond them: the more, the fewer products until convergence.
template <class T>
void BlockLanczos<T>::restart() {
  const Index keep = std::min(o_.count + std::max<Index>(o_.block, (capacity_ - o_.count) / 3), capacity_ - 2 * block_);
  const std::vector<Index> kept = wanted_of(ritz_.values, keep);
  basis_.recombine(rows_of(kept), keep, block_);
  std::fill(t_.begin(), t_.end(), 0);
  for (Index i = 0; i < keep; ++i) t(i, i) = ritz_.values[static_cast<std::size_t>(kept[static_cast<std::size_t>(i)])];
  looked_ = keep;
  steps_since_ = 0;
  ++out_.restarts;
}

template <class T>
EigenPairs<T> BlockLanczos<T>::finish() {
  out_.basis = capacity_;
  if (ritz_.values.empty() || out_.stop == "not_finite") return std::move(out_);
  if (search_.on) {
    out_.values = std::move(search_.values);
    out_.residuals = std::move(search_.residuals);
  } else {
    for (Index k = 0; k < count(); ++k) {
      out_.values.push_back(ritz_.values[static_cast<std::size_t>(chosen_[static_cast<std::size_t>(k)])]);
      out_.residuals.push_back(error_of(k));
    }
  }
  if (!o_.vectors) return std::move(out_);
  out_.vectors = Buffer<T>(a_.context(), count() * n_);
  if (search_.on)
    a_.context().template ops<T>().copy(count() * n_, basis_.row(0), out_.vectors.data());
  else
    basis_.combine(rows_of(chosen_), count(), out_.vectors.data());
  return std::move(out_);
}

template class BlockLanczos<float>;
template class BlockLanczos<double>;

}  // namespace hso::detail
