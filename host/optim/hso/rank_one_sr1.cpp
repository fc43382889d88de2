// SPDX-License-Identifier: Apache-2.0
//
// Symmetric rank-one updates of the inverse. With pairs (s_i, y_i), oldest first, w_i = s_i - gamma y_i and
// N_ij = w_j'y_i for j <= i, symmetric, the compact form is B = gamma I + W' N^-1 W (Byrd, Nocedal and Schnabel 1994).
// N = L D L' without pivoting is the sequence of updates itself: v = L^-1 W are its vectors s - B y, D their v'y. So
// the skip rule is asked pair by pair, and a pair that fails it is left out of the factorisation.
#include <algorithm>
#include <cmath>
#include <limits>

#include "optim/hso/rank_one.hpp"

namespace hso::detail {
namespace {

/// Half of what the pair says of the inverse along y: below it, so that v'y > 0 and the first update keeps B positive.
double first_scale(double ss, double sy, double yy) { return 0.5 * (sy > 0 ? sy / yy : std::sqrt(ss / yy)); }

/// The skip rule; nor is a pair worth an update that B y = s holds for already, to the rounding `noise` of |v| / |s|.
bool worth(double vy, double vv, double yy, double ss, double skip, double noise) {
  return vv > noise * noise * ss && std::abs(vy) > 0 && std::abs(vy) >= skip * std::sqrt(vv) * std::sqrt(yy);
}

/// B before the first pair: a step of unit length.
template <class T>
void unit_step(Ops<T>& ops, Index n, const T* g, T* out) {
  ops.axpby(n, static_cast<T>(1 / ops.nrm2(n, g)), g, T(0), out);
}

template <class T>
class DenseSr1 final : public RankOneInverse<T> {
 public:
  DenseSr1(Context& context, Index n, const HsoRank1Options& o)
      : ops_(context.ops<T>()), n_(n), skip_(o.skip), inverse_(context, n), v_(context, n) {}

  bool take(const T*, const T* s, const T* y) override {
    if (s == nullptr) return true;
    const double yy = ops_.dot(n_, y, y), ss = ops_.dot(n_, s, s);
    if (!(yy > 0) || !(ss > 0)) return false;
    if (!started_) inverse_.reset(first_scale(ss, ops_.dot(n_, s, y), yy));
    started_ = true;
    inverse_.multiply(y, v_.data());
    ops_.axpby(n_, T(1), s, T(-1), v_.data());
    const double vy = ops_.dot(n_, v_.data(), y);
    if (!worth(vy, ops_.dot(n_, v_.data(), v_.data()), yy, ss, skip_, kNoise)) return false;
    inverse_.add(1 / vy, v_.data());
    return true;
  }
  void apply(const T* g, T* out) override {
    if (started_)
      inverse_.multiply(g, out);
    else
      unit_step(ops_, n_, g, out);
  }
  void restart() override { started_ = false; }
  void visit_state(StateVisitor& state) override {
    state("begun", started_);
    if (started_) inverse_.visit_state(state);
  }

 private:
  static constexpr double kNoise = 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
  Ops<T>& ops_;
  Index n_;
  double skip_;
  bool started_ = false;
  DenseInverse<T> inverse_;
  Buffer<T> v_;
};

template <class T>
class LimitedSr1 final : public RankOneInverse<T> {
 public:
  LimitedSr1(Context& context, Index n, const HsoRank1Options& o)
      : ops_(context.ops<T>()), n_(n), skip_(o.skip), ring_(context, n, o.memory, 2) {
    for (std::vector<double>* table : {&ss_, &sy_, &yy_}) table->assign(square(o.memory), 0);
  }

  bool take(const T*, const T* s, const T* y) override {
    if (s == nullptr) return true;
    if (!(ops_.dot(n_, y, y) > 0) || !(ops_.dot(n_, s, s) > 0)) return false;
    const Index slot = ring_.push(), m = ring_.capacity();
    ops_.copy(n_, s, ring_.row(kSteps, slot));
    ops_.copy(n_, y, ring_.row(kChanges, slot));
    ring_.dots(s, with_s_);
    ring_.dots(y, with_y_);
    for (Index j = 0; j < m; ++j) {
      at(ss_, slot, j) = at(ss_, j, slot) = with_s_[index(kSteps, j)];
      at(yy_, slot, j) = at(yy_, j, slot) = with_y_[index(kChanges, j)];
      at(sy_, slot, j) = with_s_[index(kChanges, j)];
      at(sy_, j, slot) = with_y_[index(kSteps, j)];
    }
    factorise();
    return kept_.back();
  }

  void apply(const T* g, T* out) override {
    const Index count = ring_.count();
    if (count == 0) return unit_step(ops_, n_, g, out);
    ring_.dots(g, with_s_);
    std::vector<double> c(static_cast<std::size_t>(2 * ring_.capacity()), 0);
    for (Index i = 0; i < count; ++i) {
      if (!kept_[static_cast<std::size_t>(i)]) continue;
      double along = 0;  // v_i'g
      for (Index k = 0; k <= i; ++k)
        along += v(i, k) * (with_s_[index(kSteps, ring_.slot(k))] - gamma_ * with_s_[index(kChanges, ring_.slot(k))]);
      for (Index k = 0; k <= i; ++k)
        c[index(kSteps, ring_.slot(k))] += along / pivots_[static_cast<std::size_t>(i)] * v(i, k);
    }
    for (Index k = 0; k < count; ++k) c[index(kChanges, ring_.slot(k))] = -gamma_ * c[index(kSteps, ring_.slot(k))];
    ops_.axpby(n_, static_cast<T>(gamma_), g, T(0), out);
    ring_.combine(c, 1, out);
  }
  void restart() override { ring_.clear(); }
  void visit_state(StateVisitor& state) override {
    ring_.visit_state(state);
    state("ss", ss_);
    state("sy", sy_);
    state("yy", yy_);
    state("gamma", gamma_);
    state("v", v_);
    state("pivots", pivots_);
    state("kept", kept_);
  }

 private:
  static constexpr Index kSteps = 0, kChanges = 1;
  static constexpr double kNoise = 1e-7;  ///< |v|^2 is a difference of inner products in double
  static std::size_t square(Index m) { return static_cast<std::size_t>(m) * static_cast<std::size_t>(m); }
  std::size_t index(Index set, Index slot) const { return static_cast<std::size_t>(set * ring_.capacity() + slot); }
  double& at(std::vector<double>& table, Index i, Index j) {
    return table[static_cast<std::size_t>(i * ring_.capacity() + j)];
  }
  /// v_i = sum_k v(i, k) w_k, pairs counted from the oldest.
  double& v(Index i, Index k) { return at(v_, i, k); }
  double w_times_y(Index i, Index j) {
    const Index a = ring_.slot(i), b = ring_.slot(j);
    return at(sy_, a, b) - gamma_ * at(yy_, a, b);
  }
  double w_times_w(Index i, Index j) {
    const Index a = ring_.slot(i), b = ring_.slot(j);
    return at(ss_, a, b) - gamma_ * (at(sy_, a, b) + at(sy_, b, a)) + gamma_ * gamma_ * at(yy_, a, b);
  }

  void factorise() {
    const Index count = ring_.count();
    gamma_ = std::numeric_limits<double>::infinity();
    for (Index i = 0; i < count; ++i) {
      const Index a = ring_.slot(i);
      gamma_ = std::min(gamma_, first_scale(at(ss_, a, a), at(sy_, a, a), at(yy_, a, a)));
    }
    v_.assign(square(ring_.capacity()), 0);
    kept_.assign(static_cast<std::size_t>(count), false);
    pivots_.assign(static_cast<std::size_t>(count), 0);
    for (Index i = 0; i < count; ++i) eliminate(i);
  }
  /// v_i = w_i - sum_{j < i} v_j (v_j'y_i) / d_j and d_i = v_i'y_i
  void eliminate(Index i) {
    v(i, i) = 1;
    for (Index j = 0; j < i; ++j) {
      if (!kept_[static_cast<std::size_t>(j)]) continue;
      double share = 0;
      for (Index k = 0; k <= j; ++k) share += v(j, k) * w_times_y(k, i);
      share /= pivots_[static_cast<std::size_t>(j)];
      for (Index k = 0; k <= j; ++k) v(i, k) -= share * v(j, k);
    }
    double vy = 0, vv = 0;
    for (Index k = 0; k <= i; ++k) {
      vy += v(i, k) * w_times_y(k, i);
      for (Index l = 0; l <= i; ++l) vv += v(i, k) * v(i, l) * w_times_w(k, l);
    }
    const Index a = ring_.slot(i);
    pivots_[static_cast<std::size_t>(i)] = vy;
    kept_[static_cast<std::size_t>(i)] = worth(vy, vv, at(yy_, a, a), at(ss_, a, a), skip_, kNoise);
  }

  Ops<T>& ops_;
  Index n_;
  double skip_, gamma_ = 1;
  VectorRing<T> ring_;
  std::vector<double> ss_, sy_, yy_, v_;  ///< [memory][memory]; inner products by slot
  std::vector<double> with_s_, with_y_, pivots_;
  std::vector<bool> kept_;
};

}  // namespace

template <class T>
std::unique_ptr<RankOneInverse<T>> make_sr1_inverse(Context& context, Index n, const HsoRank1Options& o) {
  if (o.memory > 0) return std::make_unique<LimitedSr1<T>>(context, n, o);
  return std::make_unique<DenseSr1<T>>(context, n, o);
}

template std::unique_ptr<RankOneInverse<float>> make_sr1_inverse(Context&, Index, const HsoRank1Options&);
template std::unique_ptr<RankOneInverse<double>> make_sr1_inverse(Context&, Index, const HsoRank1Options&);

}  // namespace hso::detail
