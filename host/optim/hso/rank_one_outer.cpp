// SPDX-License-Identifier: Apache-2.0
//
// M = delta I + sum_j decay^(k-j) g_j g_j' by its inverse. Sherman and Morrison 1950: with u = B g,
// (M + g g')^-1 = B - u u' / (1 + g'u), and the new B times g is u / (1 + g'u). Woodbury: with rows G and weights w,
// M = delta I + G'diag(w)G, M^-1 G' = G' (delta diag(w)^-1 + G G')^-1 diag(w)^-1, so that M^-1 times the newest row
// takes one column of a small inverse and no difference of large vectors.
#include <algorithm>
#include <cmath>

#include "optim/hso/rank_one.hpp"

namespace hso::detail {
namespace {

template <class T>
class DenseOuter final : public RankOneInverse<T> {
 public:
  DenseOuter(Context& context, Index n, const HsoRank1Options& o)
      : ops_(context.ops<T>()), n_(n), delta_(o.delta), inverse_(context, n), u_(context, n) {
    restart();
  }
  bool take(const T* g, const T*, const T*) override {
    inverse_.multiply(g, u_.data());
    double along = ops_.dot(n_, g, u_.data());
    if (!(along >= 0)) {  // rounding cost B its definiteness
      restart();
      inverse_.multiply(g, u_.data());
      along = ops_.dot(n_, g, u_.data());
    }
    share_ = 1 / (1 + along);
    inverse_.add(-share_, u_.data());
    return true;
  }
  void apply(const T*, T* out) override { ops_.axpby(n_, static_cast<T>(share_), u_.data(), T(0), out); }
  void restart() override { inverse_.reset(1 / delta_); }
  void visit_state(StateVisitor& state) override { inverse_.visit_state(state); }  // u is of the coming gradient

 private:
  Ops<T>& ops_;
  Index n_;
  double delta_, share_ = 0;
  DenseInverse<T> inverse_;
  Buffer<T> u_;
};

/// x with A x = b, A [m][m] symmetric positive definite: L L' in place of the lower triangle.
void solve_by_cholesky(std::vector<double>& a, std::vector<double>& b) {
  const std::size_t m = b.size();
  for (std::size_t j = 0; j < m; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j * m + j] -= a[j * m + k] * a[j * m + k];
    a[j * m + j] = std::sqrt(a[j * m + j]);
    for (std::size_t i = j + 1; i < m; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i * m + j] -= a[i * m + k] * a[j * m + k];
      a[i * m + j] /= a[j * m + j];
    }
  }
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * m + k] * b[k];
    b[i] /= a[i * m + i];
  }
  for (std::size_t i = m; i-- > 0;) {
    for (std::size_t k = i + 1; k < m; ++k) b[i] -= a[k * m + i] * b[k];
    b[i] /= a[i * m + i];
  }
}

template <class T>
class LimitedOuter final : public RankOneInverse<T> {
 public:
  LimitedOuter(Context& context, Index n, const HsoRank1Options& o)
      : ops_(context.ops<T>()),
        n_(n),
        delta_(o.delta),
        decay_(o.decay),
        ring_(context, n, o.memory, 1),
        gram_(static_cast<std::size_t>(o.memory) * static_cast<std::size_t>(o.memory)) {}

  bool take(const T* g, const T*, const T*) override {
    const Index slot = ring_.push(), m = ring_.capacity();
    ops_.copy(n_, g, ring_.row(0, slot));
    ring_.dots(g, dots_);
    for (Index j = 0; j < m; ++j) gram(slot, j) = gram(j, slot) = dots_[static_cast<std::size_t>(j)];
    return true;
  }

  void apply(const T*, T* out) override {
    const Index count = ring_.count();
    std::vector<double> a(static_cast<std::size_t>(count * count)), x(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i) {
      for (Index j = 0; j < count; ++j) a[static_cast<std::size_t>(i * count + j)] = gram(ring_.slot(i), ring_.slot(j));
      const double weight = std::max(std::pow(decay_, static_cast<double>(count - 1 - i)), 1e-100);
      a[static_cast<std::size_t>(i * count + i)] += delta_ / weight;
    }
    x.back() = 1;
    solve_by_cholesky(a, x);
    std::vector<double> c(static_cast<std::size_t>(ring_.capacity()), 0);
    for (Index i = 0; i < count; ++i) c[static_cast<std::size_t>(ring_.slot(i))] = x[static_cast<std::size_t>(i)];
    ring_.combine(c, 0, out);
  }
  void restart() override { ring_.clear(); }
  void visit_state(StateVisitor& state) override {
    ring_.visit_state(state);
    state("gram", gram_);
  }

 private:
  double& gram(Index i, Index j) { return gram_[static_cast<std::size_t>(i * ring_.capacity() + j)]; }
  Ops<T>& ops_;
  Index n_;
  double delta_, decay_;
  VectorRing<T> ring_;
  std::vector<double> gram_, dots_;  ///< [memory][memory], by slot
};

}  // namespace

template <class T>
std::unique_ptr<RankOneInverse<T>> make_outer_inverse(Context& context, Index n, const HsoRank1Options& o) {
  if (o.memory > 0) return std::make_unique<LimitedOuter<T>>(context, n, o);
  return std::make_unique<DenseOuter<T>>(context, n, o);
}

template std::unique_ptr<RankOneInverse<float>> make_outer_inverse(Context&, Index, const HsoRank1Options&);
template std::unique_ptr<RankOneInverse<double>> make_outer_inverse(Context&, Index, const HsoRank1Options&);

}  // namespace hso::detail
