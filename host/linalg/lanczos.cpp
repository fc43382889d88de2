// SPDX-License-Identifier: Apache-2.0
//
// Block Lanczos with full reorthogonalisation and thick restarts. The basis V holds what was kept at the last restart
// (Ritz vectors), then blocks; the projected matrix t = V A V' is taken from the coefficients of every product, so the
// arrow of a restart needs no special case. After each block A V' = V' t + (leak of the last block) R.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "hsogpu/error.hpp"
#include "hsogpu/linalg.hpp"
#include "hsogpu/spectrum.hpp"
#include "io/choice.hpp"
#include "linalg/basis.hpp"
#include "linalg/host_eigen.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

const std::vector<std::string>& spectrum_end_names() {
  static const std::vector<std::string> names{"largest", "smallest", "both", "magnitude"};
  return names;
}

SpectrumEnd parse_spectrum_end(const std::string& name) {
  return parse_choice<SpectrumEnd>("end of the spectrum", name, spectrum_end_names());
}

namespace {

/// Positions of the `count` wanted among ascending values, ascending.
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

template <class T>
class Lanczos {
 public:
  Lanczos(LinearOperator<T>& a, const LanczosOptions& o, Index capacity)
      : a_(a), o_(o), n_(a.dimension()), capacity_(capacity), basis_(a.context(), n_, capacity + o.block) {}

  EigenPairs<T> run() {
    start();
    while (out_.stop.empty()) {
      if (!advance()) break;
      if (time_to_look()) look();
      if (out_.stop.empty() && basis_.size() + block_ > capacity_) restart();
    }
    return finish();
  }

 private:
  double& t(Index i, Index j) { return t_[static_cast<std::size_t>(i * capacity_ + j)]; }
  double floor() const { return 20 * static_cast<double>(std::numeric_limits<T>::epsilon()); }
  double tolerance() const { return std::max(o_.tolerance, floor()) * out_.scale; }
  Index most_products() const { return o_.max_products > 0 ? o_.max_products : std::max<Index>(1000, 20 * n_); }

  void start() {
    t_.assign(static_cast<std::size_t>(capacity_ * capacity_), 0);
    block_ = std::min(o_.block, n_);
    auto& ops = a_.context().template ops<T>();
    ops.for_each(1, block_ * n_, RandomFill<T>{basis_.row(0), o_.seed, 0, Distribution::normal, 0, 1});
    std::vector<double> r;
    basis_.orthonormalize(0, block_, 0, o_.seed, r);
  }

  /// Multiplies the block behind the basis and makes the next one. False when a product is not finite.
  bool advance() {
    const Index first = basis_.size(), m = first + block_;
    basis_.resize(m);
    const Index next = std::min(block_, n_ - m);
    Scratch scratch(a_.context());
    T* w = scratch.take<T>(block_ * n_);
    a_.apply(vector_view<const T>(basis_.row(first), n_, block_), vector_view(w, n_, block_));
    out_.products += block_;
    auto& ops = a_.context().template ops<T>();
    const double size = ops.nrm2(block_ * n_, w);
    if (!std::isfinite(size)) {
      out_.stop = "not_finite";
      out_.converged = 0;
      basis_.resize(first);
      return false;
    }
    out_.scale = std::max(out_.scale, size / std::sqrt(static_cast<double>(block_)));
    std::vector<double> h(static_cast<std::size_t>(m * block_), 0);
    basis_.project_out(m, block_, w, h.data());
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < block_; ++j) {
        const double value = h[static_cast<std::size_t>(i * block_ + j)];
        const bool inside = i >= first;
        t(i, first + j) =
            inside ? 0.5 * (value + h[static_cast<std::size_t>((first + j) * block_ + i - first)]) : value;
        t(first + j, i) = t(i, first + j);
      }
    last_ = block_;
    if (next == 0) {
      leak_.assign(static_cast<std::size_t>(block_ * block_), 0);
      block_ = 0;
      return true;
    }
    ops.copy(next * n_, w, basis_.row(m));
    std::vector<double> r;
    basis_.orthonormalize(m, next, out_.scale, o_.seed, r);
    leak_.assign(static_cast<std::size_t>(block_ * block_), 0);
    for (Index l = 0; l < next; ++l)
      for (Index j = 0; j < next; ++j)
        leak_[static_cast<std::size_t>(l * block_ + j)] = r[static_cast<std::size_t>(l * next + j)];
    if (next < block_) bound_waiting_rows(next, w);
    block_ = next;
    return true;
  }

  /// Fewer dimensions than rows are left: rows from `next` on wait for the next product. All rows leak into the same
  /// few dimensions, so |a + b|^2 <= 2 |a|^2 + 2 |b|^2 and |sum of m|^2 <= m sum of squares make the bound.
  void bound_waiting_rows(Index next, const T* w) {
    auto& ops = a_.context().template ops<T>();
    for (Index j = next; j < last_; ++j)
      leak_[static_cast<std::size_t>(j * last_ + j)] =
          std::sqrt(static_cast<double>(last_ - next)) * ops.nrm2(n_, w + j * n_);
    for (double& entry : leak_) entry *= std::numbers::sqrt2;
  }

  bool time_to_look() {
    const Index m = basis_.size();
    const bool full = m + block_ > capacity_, done = block_ == 0, spent = out_.products >= most_products();
    return full || done || spent || (m >= o_.count && m - looked_ >= std::max<Index>(1, m / 10)) ||
           (o_.interrupted && o_.interrupted());
  }

  /// |R s_last| for Ritz vector i.
  double residual(Index i) const {
    const Index m = basis_.size();
    double sum = 0;
    for (Index l = 0; l < last_; ++l) {
      double part = 0;
      for (Index j = 0; j < last_; ++j)
        part += leak_[static_cast<std::size_t>(l * last_ + j)] *
                ritz_.vectors[static_cast<std::size_t>(i * m + m - last_ + j)];
      sum += part * part;
    }
    return std::sqrt(sum);
  }

  void look() {
    const Index m = basis_.size();
    looked_ = m;
    std::vector<double> a(static_cast<std::size_t>(m * m));
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < m; ++j) a[static_cast<std::size_t>(i * m + j)] = t(i, j);
    ritz_ = host_eigh(std::move(a), m);
    out_.scale = std::max({out_.scale, std::abs(ritz_.values.front()), std::abs(ritz_.values.back())});
    chosen_ = wanted(ritz_.values, o_.count, o_.which);
    out_.converged = 0;
    for (Index i : chosen_) out_.converged += residual(i) <= tolerance();
    if (block_ == 0)
      out_.stop = "complete";
    else if (static_cast<Index>(chosen_.size()) == o_.count && out_.converged == o_.count)
      out_.stop = "converged";
    else if (out_.products >= most_products())
      out_.stop = "max_products";
    else if (o_.interrupted && o_.interrupted())
      out_.stop = "interrupted";
  }

  std::vector<double> rows_of(const std::vector<Index>& which) const {
    const auto m = static_cast<std::size_t>(basis_.size());
    std::vector<double> c;
    for (Index i : which) {
      const auto begin = ritz_.vectors.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * m);
      c.insert(c.end(), begin, begin + static_cast<std::ptrdiff_t>(m));
    }
    return c;
  }

  /// Keeps the wanted Ritz vectors and some beyond them: the more, the fewer products until convergence.
  void restart() {
    const Index keep =
        std::min(o_.count + std::max<Index>(o_.block, (capacity_ - o_.count) / 3), capacity_ - 2 * block_);
    const std::vector<Index> kept = wanted(ritz_.values, keep, o_.which);
    basis_.recombine(rows_of(kept), keep, block_);
    std::fill(t_.begin(), t_.end(), 0);
    for (Index i = 0; i < keep; ++i)
      t(i, i) = ritz_.values[static_cast<std::size_t>(kept[static_cast<std::size_t>(i)])];
    looked_ = keep;
    ++out_.restarts;
  }

  EigenPairs<T> finish() {
    out_.basis = capacity_;
    if (ritz_.values.empty() || out_.stop == "not_finite") return std::move(out_);
    for (Index i : chosen_) {
      out_.values.push_back(ritz_.values[static_cast<std::size_t>(i)]);
      out_.residuals.push_back(residual(i));
    }
    if (o_.vectors) {
      const auto count = static_cast<Index>(chosen_.size());
      out_.vectors = Buffer<T>(a_.context(), count * n_);
      basis_.combine(rows_of(chosen_), count, out_.vectors.data());
    }
    return std::move(out_);
  }

  LinearOperator<T>& a_;
  const LanczosOptions& o_;
  Index n_, capacity_, block_ = 1, last_ = 0, looked_ = 0;
  Basis<T> basis_;
  std::vector<double> t_, leak_;  ///< [capacity][capacity]; [last][last]
  HostEigen ritz_;
  std::vector<Index> chosen_;
  EigenPairs<T> out_;
};

/// Vectors that half the free memory holds.
template <class T>
Index affordable_basis(Context& context, Index n, const LanczosOptions& o) {
  const Index least = std::min(n, o.count + 3 * o.block);
  const Index good = std::min(n, std::max<Index>(256, 4 * (o.count + o.block)));
  const Index bytes = checked_multiply(std::max<Index>(n, 1), static_cast<Index>(sizeof(T)));
  const Index fit = context.memory().free_bytes / 2 / bytes - 2 * o.block;
  require_memory(context, fmt::format("lanczos: a basis of {} vectors", least), n, [&](Index m) {
    return checked_multiply(least + 2 * o.block, checked_multiply(m, static_cast<Index>(sizeof(T))));
  });
  return std::clamp(fit, least, good);
}

}  // namespace

template <class T>
Index detail::lanczos_basis(Context& context, Index n, const LanczosOptions& o) {
  if (n < 1) throw InputError(fmt::format("lanczos: an operator of dimension {}, expected at least 1", n));
  if (o.count < 1 || o.count > n)
    throw InputError(
        fmt::format("lanczos: {} eigenvalues of an operator of dimension {}, expected 1 to {}", o.count, n, n));
  if (o.block < 1 || o.block > n)
    throw InputError(fmt::format("lanczos: block of {} for dimension {}, expected 1 to {}", o.block, n, n));
  if (o.basis == 0) return affordable_basis<T>(context, n, o);
  const Index least = std::min(n, o.count + 3 * o.block);
  if (o.basis < least)
    throw InputError(fmt::format("lanczos: basis of {} for {} eigenvalues with blocks of {}, expected at least {}",
                                 o.basis, o.count, o.block, least));
  return std::min(o.basis, n);
}

template <class T>
Needs detail::lanczos_needs(Index n, const LanczosOptions& o) {
  const Index m = o.basis, block = o.block, element = sizeof(T);
  const Index vector = checked_multiply(n, element), w = block * vector;
  Needs needs;
  needs.buffers = checked_multiply(m + block, vector) + (o.vectors ? o.count * vector : 0);
  needs.scratch = {
      {w, m * block * element}, {m * m * element, Basis<T>::recombine_bytes(n, m)}, {o.count * m * element}};
  return needs;
}

template <class T>
EigenPairs<T> lanczos(LinearOperator<T>& a, const LanczosOptions& options) {
  return Lanczos<T>(a, options, lanczos_basis<T>(a.context(), a.dimension(), options)).run();
}

template <class T>
PowerResult power_iteration(LinearOperator<T>& a, double tolerance, Index max_products, std::uint64_t seed) {
  const Index n = a.dimension();
  if (n < 1) throw InputError(fmt::format("power_iteration: an operator of dimension {}, expected at least 1", n));
  auto& ops = a.context().template ops<T>();
  Scratch scratch(a.context());
  T* v = scratch.take<T>(n);
  T* w = scratch.take<T>(n);
  ops.for_each(1, n, RandomFill<T>{v, seed, 0, Distribution::normal, 0, 1});
  ops.axpby(n, T(0), v, static_cast<T>(1 / ops.nrm2(n, v)), v);
  PowerResult r;
  while (!r.converged && r.products < max_products) {
    a.apply(vector_view<const T>(v, n), vector_view(w, n));
    ++r.products;
    const double before = r.norm;
    r.norm = ops.nrm2(n, w);
    r.value = ops.dot(n, v, w);
    if (!(r.norm > 0) || !std::isfinite(r.norm)) break;
    r.converged = r.products > 1 && r.norm - before <= tolerance * r.norm;
    ops.axpby(n, static_cast<T>(-r.value), v, T(1), w);
    r.residual = ops.nrm2(n, w);
    ops.axpby(n, static_cast<T>(1 / r.norm), w, static_cast<T>(r.value / r.norm), v);  // A v / |A v|
  }
  return r;
}

template Index detail::lanczos_basis<float>(Context&, Index, const LanczosOptions&);
template Index detail::lanczos_basis<double>(Context&, Index, const LanczosOptions&);
template Needs detail::lanczos_needs<float>(Index, const LanczosOptions&);
template Needs detail::lanczos_needs<double>(Index, const LanczosOptions&);
template EigenPairs<float> lanczos(LinearOperator<float>&, const LanczosOptions&);
template EigenPairs<double> lanczos(LinearOperator<double>&, const LanczosOptions&);
template PowerResult power_iteration(LinearOperator<float>&, double, Index, std::uint64_t);
template PowerResult power_iteration(LinearOperator<double>&, double, Index, std::uint64_t);

}  // namespace hso
