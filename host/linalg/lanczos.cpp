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
#include <utility>

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

/// Steps whose coefficients wait in device memory for the host, at most.
constexpr Index kSteps = 16;
/// Of one step: the last one may divide its block into rows that find room and rows that do not.
Index most_panels(Index block) { return panel_count(block) + 3; }
Index log_panels(Index block) { return kSteps * panel_count(block) + 3; }

/// The projected matrix is needed only where the host looks at it, so the coefficients of some steps stay on the device
/// until then. A step whose block lost rank, or more than rounding allows, is repaired when they are read, and what was
/// made from it meanwhile is dropped.
template <class T>
class Lanczos {
 public:
  Lanczos(LinearOperator<T>& a, const LanczosOptions& o, Index capacity)
      : a_(a),
        o_(o),
        n_(a.dimension()),
        capacity_(capacity),
        wait_for_each_(!a.context().is_cuda()),
        basis_(a.context(), n_, capacity + o.block),
        log_(a.context(), log_panels(o.block), std::min(o.block, kWidestPanel), capacity + o.block),
        scale_(a.context(), 1) {}

  EigenPairs<T> run() {
    start();
    while (out_.stop.empty()) {
      advance();
      const bool stopped = o_.interrupted && o_.interrupted();
      if (wait_for_each_ || stopped || time_to_look() || !log_.room(most_panels(o_.block))) collect();
      if (out_.stop.empty() && steps_.empty() && (stopped || time_to_look())) look(stopped);
      if (out_.stop.empty() && steps_.empty() && basis_.size() + block_ > capacity_) restart();
    }
    return finish();
  }

 private:
  /// Rows [first, first + block) of the basis, multiplied; the `next` rows behind them came out of it.
  struct Step {
    Index first, block, next;
    Index end() const { return first + block; }
  };

  double& t(Index i, Index j) { return t_[static_cast<std::size_t>(i * capacity_ + j)]; }
  double floor() const { return 20 * static_cast<double>(std::numeric_limits<T>::epsilon()); }
  double tolerance() const { return std::max(o_.tolerance, floor()) * out_.scale; }
  Index most_products() const { return o_.max_products > 0 ? o_.max_products : std::max<Index>(1000, 20 * n_); }
  /// Vectors between two looks, at least. Where the coefficients are at hand, looking costs no wait.
  Index least_interval() const { return wait_for_each_ ? 1 : 4 * o_.block; }

  void start() {
    t_.assign(static_cast<std::size_t>(capacity_ * capacity_), 0);
    block_ = std::min(o_.block, n_);
    auto& ops = a_.context().template ops<T>();
    ops.for_each(1, block_ * n_, RandomFill<T>{basis_.row(0), o_.seed, 0, Distribution::normal, 0, 1});
    std::vector<double> r;
    basis_.orthonormalize(0, block_, 0, o_.seed, r);
    set_scale();
  }
  void set_scale() { a_.context().template ops<double>().fill(1, out_.scale, scale_.data()); }

  /// Multiplies the block behind the basis and makes the next one.
  void advance() {
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
  void collect() {
    std::vector<PanelNumbers> panels = log_.read();
    auto panel = panels.begin();
    for (const Step& step : std::exchange(steps_, {})) {
      const auto last = panel + panel_count(step.next) + panel_count(step.block - step.next);
      if (!take(step, {panel, last})) return;
      panel = last;
    }
  }

  /// One step's row of t and leak. False where the steps behind it do not count.
  bool take(const Step& step, Span<PanelNumbers> panels) {
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
  void place(const PanelNumbers& panel, const Step& step, Index column, std::vector<double>& h) {
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

  void extend_projection(const Step& step, const std::vector<double>& h) {
    const Index first = step.first, block = step.block;
    for (Index i = 0; i < step.end(); ++i)
      for (Index j = 0; j < block; ++j) {
        const double value = h[static_cast<std::size_t>(i * block + j)];
        const bool inside = i >= first;
        t(i, first + j) = inside ? 0.5 * (value + h[static_cast<std::size_t>((first + j) * block + i - first)]) : value;
        t(first + j, i) = t(i, first + j);
      }
  }

  bool time_to_look() const {
    const Index m = basis_.size(), since = m - looked_;
    const bool full = m + block_ > capacity_, done = block_ == 0, spent = out_.products >= most_products();
    return full || done || spent || (m >= o_.count && since >= std::max(least_interval(), m / 10));
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

  void look(bool stopped) {
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
    else if (stopped)
      out_.stop = "interrupted";
    set_scale();
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
  bool wait_for_each_;  ///< step's coefficients
  Basis<T> basis_;
  PanelLog<T> log_;
  Buffer<double> scale_;          ///< [1] out_.scale where the device decides by it
  std::vector<Step> steps_;       ///< in the log
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
  const Index vector = checked_multiply(n, element), width = std::min(block, kWidestPanel);
  Needs needs;
  needs.buffers = checked_multiply(m + block, vector) + (o.vectors ? o.count * vector : 0) +
                  PanelLog<T>::bytes(log_panels(block), width, m + block) + static_cast<Index>(sizeof(double));
  needs.scratch = {{(width * width + 1) * static_cast<Index>(sizeof(double)), width * width * element},
                   {m * m * element, Basis<T>::recombine_bytes(n, m)},
                   {o.count * m * element}};
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
  double* numbers = scratch.take<double>(2);
  PowerResult r;
  while (!r.converged && r.products < max_products) {
    a.apply(vector_view<const T>(v, n), vector_view(w, n));
    ++r.products;
    double found[2];  // |A v|^2, v'A v
    ops.dots_on_device(1, n, w, n, w, n, numbers);
    ops.dots_on_device(1, n, v, n, w, n, numbers + 1);
    a.context().to_host(numbers, found, sizeof(found));
    const double before = r.norm;
    r.norm = std::sqrt(found[0]);
    r.value = found[1];
    if (!(r.norm > 0) || !std::isfinite(r.norm)) break;
    r.converged = r.products > 1 && r.norm - before <= tolerance * r.norm;
    if (r.converged || r.products == max_products) {
      ops.axpby(n, static_cast<T>(-r.value), v, T(1), w);
      r.residual = ops.nrm2(n, w);
    } else {
      ops.axpby(n, static_cast<T>(1 / r.norm), w, T(0), v);
    }
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
