// SPDX-License-Identifier: Apache-2.0
//
// Stochastic Lanczos quadrature. All probes of a group are lanes: one call of the operator advances each by one step.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/host_eigen.hpp"
#include "linalg/memory_needs.hpp"
#include "linalg/probes.hpp"

namespace hso {

using namespace detail;

namespace {

using Numbers = std::vector<double>;

/// Lanczos on K probes at once; lane k keeps its basis in V[k][rows][n]: all steps, or the last two. The last two are
/// not scaled to length 1, which saves passes over them: row j is beta_j v_j. Coefficients stay on the device, which
/// also stops probes whose space is exhausted; the host reads them at the end, and now and then on the way.
template <class T>
class ProbeLanczos {
 public:
  ProbeLanczos(LinearOperator<T>& a, Index probes, Index lanes, Index steps, bool full)
      : a_(a),
        context_(a.context()),
        ops_(context_.template ops<T>()),
        n_(a.dimension()),
        probes_(probes),
        steps_(steps),
        rows_(full ? steps : std::min<Index>(steps, 2)),
        full_(full),
        basis_(context_, checked_multiply(checked_multiply(lanes, rows_), n_)),
        w_(context_, lanes * n_),
        c_(context_, full ? 2 * lanes * rows_ : 0),
        factors_(context_, 3 * lanes),
        numbers_(context_, device_numbers(lanes, steps)) {}

  static Index device_numbers(Index lanes, Index steps) { return (4 + 2 * steps) * lanes + 1; }

  /// Probes `first` to first + k - 1 of the seed. With "interrupted" the steps until then are there, two at least, or
  /// nothing.
  std::string run(std::uint64_t seed, Index first, Index k, const std::function<bool()>& interrupted,
                  SpectralDensity& out) {
    k_ = k;
    alpha_.assign(static_cast<std::size_t>(k), Numbers());
    beta_.assign(static_cast<std::size_t>(k), Numbers());
    alive_ = k;
    read_ = 0;
    start(seed, first);
    taken_ = steps_;
    for (Index j = 0; j < taken_ && alive_ > 0; ++j) {
      if (interrupted && interrupted()) {
        taken_ = j;
        if (j < 2) return "interrupted";
        if (read_ < j && !read(j)) return "not_finite";
        break;
      }
      a_.apply(View<const T>(row(j)), w());
      out.products += k;
      full_ ? orthogonalize(j) : project(j);
      if (j + 1 < steps_) full_ ? normalize(j) : recur(j);
      if ((j + 1 == steps_ || (j + 1 - read_) >= interval()) && !read(j + 1)) return "not_finite";
    }
    for (std::size_t p = 0; p < alpha_.size(); ++p) append(p, out);
    return taken_ < steps_ ? "interrupted" : "steps";
  }
  Index taken() const { return taken_; }

 private:
  static constexpr Index kInterval = 8;  ///< steps between two looks at what is exhausted or not finite
  Index interval() const { return context_.is_cuda() ? kInterval : 1; }

  View<T> row(Index j) { return {basis_.data() + j % rows_ * n_, Shape{n_}, k_, rows_ * n_}; }
  View<T> w() { return vector_view(w_.data(), n_, k_); }
  ProbeState state() {
    double* first = numbers_.data();
    return {first, first + k_, first + 2 * k_, first + 3 * k_};
  }
  double* sums() { return numbers_.data() + 3 * k_ + 1; }
  double* alpha(Index j) { return sums() + (1 + 2 * j) * k_; }
  double* beta(Index j) { return alpha(j) + k_; }

  void start(std::uint64_t seed, Index first) {
    fill_directions(ops_, n_, first, k_, probes_, seed, 1.0, row(0));
    auto& wide = context_.template ops<double>();
    wide.fill(3 * k_, 1, state().length);
    wide.fill(1, 0, state().largest);
  }

  /// w -= V'V w over the rows so far, twice; the coefficient of the last row is alpha.
  void orthogonalize(Index j) {
    const Index m = j + 1;
    for (T* c : {c_.data(), c_.data() + k_ * rows_}) {
      GemmArgs<T> onto{m, 1, n_, basis_.data(), n_, false, w_.data(), 1, false, c, 1};
      onto.batch = k_;
      onto.stride_a = rows_ * n_;
      onto.stride_b = n_;
      onto.stride_c = m;
      ops_.gemm(onto);
      GemmArgs<T> off{1, n_, m, c, m, false, basis_.data(), n_, false, w_.data(), n_, T(-1), T(1)};
      off.batch = k_;
      off.stride_a = m;
      off.stride_b = rows_ * n_;
      off.stride_c = n_;
      ops_.gemm(off);
    }
    const T *first = c_.data() + j, *second = first + k_ * rows_;
    ops_.for_each(1, 1, ProbeAlpha<T>{k_, nullptr, first, second, m, state(), alpha(j), nullptr, false});
  }

  /// alpha = v_j'A v_j
  void project(Index j) {
    ops_.dots_on_device(k_, n_, row(j).data, row(j).lane_stride, w_.data(), n_, sums());
    ops_.for_each(1, 1, ProbeAlpha<T>{k_, sums(), nullptr, nullptr, 0, state(), alpha(j), factors_.data(), j == 0});
  }

  /// u_{j+1} = A u_j / beta_j - alpha_j / beta_j u_j - beta_j / beta_{j-1} u_{j-1} in one pass, in the place of
  /// u_{j-1}: beta_{j+1} v_{j+1}.
  void recur(Index j) {
    const View<T> u = row(j), y = row(j + 1);
    ops_.recur(k_, n_,
               LaneRecurrence<T>{factors_.data(), k_, w_.data(), n_, u.data, u.lane_stride, y.data, y.lane_stride},
               sums());
    accept(j, nullptr);
  }

  /// Row j + 1 = w / |w|.
  void normalize(Index j) {
    ops_.dots_on_device(k_, n_, w_.data(), n_, w_.data(), n_, sums());
    accept(j, factors_.data());
    const View<T> y = row(j + 1);
    ops_.for_each(k_, n_, LaneAxpby<T>{factors_.data(), w_.data(), n_, factors_.data() + k_, y.data, y.lane_stride});
  }

  /// The next coefficient. A probe whose space is exhausted stops there and goes on as a lane of zeros.
  void accept(Index j, T* factors) {
    const double negligible = 10 * static_cast<double>(std::numeric_limits<T>::epsilon());
    ops_.for_each(1, 1, ProbeBeta<T>{k_, sums(), negligible, state(), beta(j), factors});
  }

  /// Takes the coefficients of the steps before `step` that were not read yet; waits for the device.
  bool read(Index step) {
    const auto k = static_cast<std::size_t>(k_);
    Numbers host(static_cast<std::size_t>(2 * (step - read_)) * k);
    const auto count = static_cast<Index>(host.size()) - (step == steps_ ? k_ : 0);  // the last step has no beta
    context_.to_host(alpha(read_), host.data(), count * static_cast<Index>(sizeof(double)));
    for (const double* at = host.data(); read_ < step; ++read_, at += 2 * k)
      for (std::size_t p = 0; p < k; ++p) {
        const double next = at[k + p];
        if (!std::isfinite(at[p]) || !std::isfinite(next)) return false;
        if (alpha_[p].size() != beta_[p].size()) continue;  // it stopped before
        alpha_[p].push_back(at[p]);
        if (next > 0)
          beta_[p].push_back(next);
        else
          --alive_;
      }
    return true;
  }

  void append(std::size_t p, SpectralDensity& out) {
    const std::size_t m = alpha_[p].size();
    beta_[p].resize(m - 1);
    GaussRule rule = host_gauss_rule(alpha_[p], beta_[p]);
    out.nodes.push_back(std::move(rule.nodes));
    out.weights.push_back(std::move(rule.weights));
    out.exhausted.push_back(static_cast<Index>(m) < taken_);
    out.diagonals.push_back(std::move(alpha_[p]));
    out.off_diagonals.push_back(std::move(beta_[p]));
  }

  LinearOperator<T>& a_;
  Context& context_;
  Ops<T>& ops_;
  Index n_, probes_, steps_, rows_, k_ = 0, taken_ = 0;
  bool full_;
  Buffer<T> basis_, w_, c_, factors_;
  Buffer<double> numbers_;  ///< the probes' state, sums of one step, then [steps][alpha, beta]
  std::vector<Numbers> alpha_, beta_;
  Index alive_ = 0, read_ = 0;  ///< probes that go on; steps whose coefficients the host has
};

/// One step beyond n sees whether the space was exhausted; without reorthogonalisation rounding can leave more to do.
Index first_steps(Index n, const DensityOptions& o) { return std::min(o.steps, n + 1); }
Index last_steps(Index n, const DensityOptions& o) {
  const Index most = o.enough ? std::max(o.steps, o.most_steps) : o.steps;
  return o.reorthogonalize ? std::min(most, n + 1) : std::max(first_steps(n, o), o.enough ? most : 0);
}

/// Vectors that one probe holds.
Index vectors_of(Index n, const DensityOptions& o) {
  return 1 + (o.reorthogonalize ? last_steps(n, o) : std::min<Index>(last_steps(n, o), 2));
}

/// Without the probes after the first `count`.
void cut(SpectralDensity& density, std::size_t count) {
  for (auto* per_probe : {&density.nodes, &density.weights, &density.diagonals, &density.off_diagonals})
    per_probe->resize(count);
  density.exhausted.resize(count);
}

/// All probes once; returns why it ended. Of an interrupted group nothing is kept where others are complete.
template <class T>
std::string run_probes(LinearOperator<T>& a, const DensityOptions& o, Index lanes, Index steps, SpectralDensity& out) {
  for (auto* per_probe : {&out.nodes, &out.weights, &out.diagonals, &out.off_diagonals}) per_probe->clear();
  out.exhausted.clear();
  out.steps = steps;
  ProbeLanczos<T> probes(a, o.probes, lanes, steps, o.reorthogonalize);
  for (Index first = 0; first < o.probes; first += lanes) {
    const std::string end = probes.run(o.seed, first, std::min(lanes, o.probes - first), o.interrupted, out);
    if (end == "interrupted" && first >= 2)
      cut(out, static_cast<std::size_t>(first));
    else if (end == "interrupted" && first == 0)
      out.steps = probes.taken();
    else if (end == "interrupted")
      cut(out, 0);
    if (end != "steps") return end;
  }
  return "steps";
}

}  // namespace

template <class T>
Index detail::density_lanes(LinearOperator<T>& a, const DensityOptions& o) {
  const Index n = a.dimension();
  Context& context = a.context();
  const Index vectors = vectors_of(n, o);
  const auto bytes = [&](Index m) {
    return checked_multiply(checked_multiply(vectors, std::max<Index>(m, 1)), static_cast<Index>(sizeof(T)));
  };
  require_memory(context, fmt::format("spectral_density: {} vectors of one probe", vectors), n, bytes);
  if (o.lanes > 0) return std::min(o.lanes, o.probes);
  return std::clamp<Index>(context.memory().free_bytes / 2 / bytes(n), 1, std::min(o.probes, a.lanes()));
}

template <class T>
Needs detail::density_needs(Index n, const DensityOptions& o) {
  const Index vectors = vectors_of(n, o), element = sizeof(T);
  const Index small = o.lanes * (2 * vectors + 2) * element +
                      ProbeLanczos<T>::device_numbers(o.lanes, last_steps(n, o)) * static_cast<Index>(sizeof(double));
  return {checked_multiply(o.lanes * vectors, checked_multiply(n, element)) + small, {}};
}

Index detail::density_products(const DensityOptions& o, Index n) {
  const Index most = last_steps(n, o);
  Index sum = 0;
  for (Index steps = first_steps(n, o);; steps = std::min(2 * steps, most)) {
    sum += o.probes * steps;
    if (steps >= most) return sum;
  }
}

template <class T>
SpectralDensity spectral_density(LinearOperator<T>& a, const DensityOptions& o) {
  SpectralDensity out;
  out.n = a.dimension();
  out.seed = o.seed;
  out.confidence = o.confidence;
  out.lower_bound = o.lower_bound;
  out.epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  if (out.n < 1) throw InputError("spectral_density: an operator of dimension 0, expected at least 1");
  if (o.probes < 2 || o.steps < 2)
    throw UsageError(
        fmt::format("spectral_density: {} probes of {} steps, expected at least 2 of at least 2", o.probes, o.steps));
  std::optional<InterruptScope> asked_here;
  if (o.interrupted) asked_here.emplace(std::function<bool()>());
  const Index lanes = density_lanes(a, o), most = last_steps(out.n, o);
  for (Index steps = first_steps(out.n, o);; steps = std::min(2 * steps, most)) {
    SpectralDensity shorter = out;
    out.stop = run_probes(a, o, lanes, steps, out);
    if (out.stop == "interrupted" && !shorter.nodes.empty()) {
      shorter.products = out.products;
      shorter.stop = out.stop;
      return shorter;
    }
    if (out.stop == "interrupted") return out;
    if (out.stop == "not_finite" || steps >= most || !o.enough || o.enough(out)) return out;
  }
}

template Index detail::density_lanes(LinearOperator<float>&, const DensityOptions&);
template Index detail::density_lanes(LinearOperator<double>&, const DensityOptions&);
template Needs detail::density_needs<float>(Index, const DensityOptions&);
template Needs detail::density_needs<double>(Index, const DensityOptions&);
template SpectralDensity spectral_density(LinearOperator<float>&, const DensityOptions&);
template SpectralDensity spectral_density(LinearOperator<double>&, const DensityOptions&);

}  // namespace hso
