// SPDX-License-Identifier: Apache-2.0
//
// The losses: one number for each sample. z is [N][C]; outer index = lane * N + sample unless said otherwise.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// loss[n] = log sum_c e^{z_c} - z_t (natural log), 0 where t = -1; p = softmax(z) and the likeliest class are saved.
/// Launch with N x 1.
template <class T>
struct CrossEntropyValue {
  const T* z;
  const T* target;
  T* loss;
  T* p;
  Index* best;
  Index classes;
  HSO_HD void operator()(Index n, Index) const {
    const T* row = z + n * classes;
    Index likeliest = 0;
    for (Index c = 1; c < classes; ++c) likeliest = row[c] > row[likeliest] ? c : likeliest;
    best[n] = likeliest;
    const T top = row[likeliest];
    T sum = 0, others = 0;
    for (Index c = 0; c < classes; ++c) {
      const T e = exp_of(row[c] - top);
      p[n * classes + c] = e;
      sum += e;
      others += c == likeliest ? T(0) : e;
    }
    for (Index c = 0; c < classes; ++c) p[n * classes + c] /= sum;
    // -log p_t: where p_t is near 1, log1p of the other terms keeps the small losses exact. It is below 1/2 wherever t
    // is not the likeliest class.
    const auto t = static_cast<Index>(target[n]);
    const T value = t == likeliest && others < T(1) ? std::log1p(others) : (top - row[t < 0 ? 0 : t]) + std::log(sum);
    loss[n] = t < 0 ? T(0) : value;
  }
};

/// Rl = sum_c (p_c - [c = t]) Rz_c; whatever is finite where t = -1. Launch with (K N) x 1.
template <class T>
struct CrossEntropyJvp {
  const T* p;
  const T* target;
  const T* rz;
  Index rz_stride;
  T* rl;
  Index rl_stride;
  Index samples, classes;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index) const {
    const Index n = at[0], k = at[1];
    const T* row = rz + k * rz_stride + n * classes;
    const auto t = static_cast<Index>(target[n]);
    const T reference = row[t < 0 ? 0 : t];
    T sum = 0;
    for (Index c = 0; c < classes; ++c) sum += (row[c] - reference) * p[n * classes + c];
    store(&rl[k * rl_stride + n], sum, accumulate);
  }
};

/// dz_c (+)= dl (p_c - [c = t]); p_t - 1 is taken as -(sum of the others). Launch with (K N) x 1.
template <class T>
struct CrossEntropyVjp {
  const T* p;
  const T* target;
  const T* dl;
  Index dl_stride;
  T* dz;
  Index dz_stride;
  Index samples, classes;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index) const {
    const Index n = at[0], k = at[1];
    const auto t = static_cast<Index>(target[n]);
    const T* row = p + n * classes;
    const T seed = dl[k * dl_stride + n];
    T others = 0;
    for (Index c = 0; c < classes; ++c) others += c == t ? T(0) : row[c];
    T* out = dz + k * dz_stride + n * classes;
    for (Index c = 0; c < classes; ++c) store(&out[c], seed * (c == t ? -others : row[c]), accumulate);
  }
};

/// One sample of CrossEntropyCross. Differences against the likeliest class: where p is near one-hot, nothing large
/// cancels.
template <class T>
HSO_HD inline void cross_entropy_cross(const T* p, Index best, T dl, const T* rz, T* rdz, Index classes,
                                       bool accumulate) {
  const T reference = rz[best];
  T mean = 0;
  for (Index c = 0; c < classes; ++c) mean += p[c] * (rz[c] - reference);
  for (Index c = 0; c < classes; ++c) store(&rdz[c], dl * (p[c] * ((rz[c] - reference) - mean)), accumulate);
}

/// Rdz_c (+)= dl p_c (Rz_c - sum_j p_j Rz_j). Launch with (K N) x 1.
template <class T>
struct CrossEntropyCross {
  const T* p;
  const Index* best;
  const T* dl;
  const T* rz;
  Index rz_stride;
  T* rdz;
  Index rdz_stride;
  Index samples, classes;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index) const {
    const Index n = at[0], k = at[1], row = n * classes;
    cross_entropy_cross(p + row, best[n], dl[n], rz + k * rz_stride + row, rdz + k * rdz_stride + row, classes,
                        accumulate);
  }
};

/// CrossEntropyCross of a tangent that it completes first: rz_c += b_c (+ more_c when `split`). Launch with (K N) x 1.
template <class T>
struct CrossEntropyCrossAfterBias {
  const T* p;
  const Index* best;
  const T* dl;
  const T* b;
  Index b_stride;
  T* rz;
  const T* more;
  Index rz_stride;
  T* rdz;
  Index rdz_stride;
  Index samples, classes;
  bool split, accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index) const {
    const Index n = at[0], k = at[1], row = n * classes, here = k * rz_stride + row;
    for (Index c = 0; c < classes; ++c)
      rz[here + c] = sum_of_parts(rz[here + c], more[here + c], split) + b[k * b_stride + c];
    cross_entropy_cross(p + row, best[n], dl[n], rz + here, rdz + k * rdz_stride + row, classes, accumulate);
  }
};

/// share[n][i] = 1 / (positions of sample n with a class), or the root of that, and 0 for those without. Launch with N
/// x 1.
template <class T>
struct PositionShares {
  const T* target;
  T* share;
  Index positions;
  bool root;
  HSO_HD void operator()(Index n, Index) const {
    Index count = 0;
    for (Index i = 0; i < positions; ++i) count += target[n * positions + i] < T(0) ? 0 : 1;
    const T whole = count > 0 ? T(1) / static_cast<T>(count) : T(0), each = root ? std::sqrt(whole) : whole;
    for (Index i = 0; i < positions; ++i) share[n * positions + i] = target[n * positions + i] < T(0) ? T(0) : each;
  }
};

/// to[k][n][i] = d_k[n] share[n][i]. Launch with (K N) x positions.
template <class T>
struct SpreadOverPositions {
  const T* d;
  Index d_stride;
  const T* share;
  T* to;
  Index samples, positions;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    use(same(d + at[1] * d_stride + at[0]), share + at[0] * positions,
        out(to + (at[1] * samples + at[0]) * positions, false));
  }
  HSO_HD void element(const T& seed, const T& part, T& result) const { result = seed * part; }
};

/// What squared error and logistic loss have in common: they are sums over outputs.
struct SquaredError {  // (z - t)^2 / 2
  template <class T>
  HSO_HD static T value(T z, T t) {
    return T(0.5) * (z - t) * (z - t);
  }
  template <class T>
  HSO_HD static T d1(T z, T t) {
    return z - t;
  }
  template <class T>
  HSO_HD static T d2(T, T) {
    return 1;
  }
};
struct LogisticLoss {  // -t log s - (1-t) log(1-s), s = logistic(z), from the logit z
  template <class T>
  HSO_HD static T value(T z, T t) {
    return (z > 0 ? z : T(0)) - z * t + log1p_unit(exp_of(z < 0 ? z : -z));
  }
  // Near t = 1 the difference logistic(z) - 1 is -logistic(-z); linear interpolation covers every t in [0, 1].
  template <class T>
  HSO_HD static T d1(T z, T t) {
    return (1 - t) * logistic(z) - t * logistic(-z);
  }
  template <class T>
  HSO_HD static T d2(T z, T) {
    return logistic(z) * logistic(-z);
  }
};

struct HuberLoss {  // (z - t)^2 / 2, and |z - t| - 1/2 beyond 1 (Huber 1964)
  template <class T>
  HSO_HD static T value(T z, T t) {
    const T r = z - t, size = r < 0 ? -r : r;
    return size <= T(1) ? T(0.5) * r * r : size - T(0.5);
  }
  template <class T>
  HSO_HD static T d1(T z, T t) {
    const T r = z - t;
    return r < T(-1) ? T(-1) : r > T(1) ? T(1) : r;
  }
  template <class T>
  HSO_HD static T d2(T z, T t) {
    const T r = z - t;
    return r < T(-1) || r > T(1) ? T(0) : T(1);
  }
};

/// loss[n] = sum_c F(z_c, t_c). Launch with N x 1.
template <class T, class F>
struct OutputLossValue {
  const T* z;
  const T* target;
  T* loss;
  Index outputs;
  HSO_HD void operator()(Index n, Index) const {
    T sum = 0;
    for (Index c = 0; c < outputs; ++c) sum += F::value(z[n * outputs + c], target[n * outputs + c]);
    loss[n] = sum;
  }
};

/// Rl = sum_c F'(z_c, t_c) Rz_c. Launch with (K N) x 1.
template <class T, class F>
struct OutputLossJvp {
  const T* z;
  const T* target;
  const T* rz;
  Index rz_stride;
  T* rl;
  Index rl_stride;
  Index samples, outputs;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index) const {
    const Index n = at[0], k = at[1];
    T sum = 0;
    for (Index c = 0; c < outputs; ++c)
      sum += F::d1(z[n * outputs + c], target[n * outputs + c]) * rz[k * rz_stride + n * outputs + c];
    store(&rl[k * rl_stride + n], sum, accumulate);
  }
};

/// dz_c (+)= dl F'(z_c, t_c). Launch with (K N) x outputs.
template <class T, class F>
struct OutputLossVjp {
  const T* z;
  const T* target;
  const T* dl;
  Index dl_stride;
  T* dz;
  Index dz_stride;
  Index samples, outputs;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index row = at[0] * outputs;
    use(z + row, target + row, same(dl + at[1] * dl_stride + at[0]), out(dz + at[1] * dz_stride + row, accumulate));
  }
  HSO_HD void element(const T& zc, const T& tc, const T& seed, T& to) const {
    store(&to, seed * F::d1(zc, tc), accumulate);
  }
};

/// Rdz_c (+)= dl F''(z_c, t_c) Rz_c. Launch with (K N) x outputs.
template <class T, class F>
struct OutputLossCross {
  const T* z;
  const T* target;
  const T* dl;
  const T* rz;
  Index rz_stride;
  T* rdz;
  Index rdz_stride;
  Index samples, outputs;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index row = at[0] * outputs;
    use(z + row, target + row, same(dl + at[0]), rz + at[1] * rz_stride + row,
        out(rdz + at[1] * rdz_stride + row, accumulate));
  }
  HSO_HD void element(const T& zc, const T& tc, const T& seed, const T& from, T& to) const {
    store(&to, seed * F::d2(zc, tc) * from, accumulate);
  }
};

/// OutputLossCross of a tangent that it completes first: Rz_c += b_c (+ more_c when `split`). Launch with (K N) x
/// outputs.
template <class T, class F>
struct OutputLossCrossAfterBias {
  const T* z;
  const T* target;
  const T* dl;
  const T* b;
  Index b_stride;
  T* rz;
  const T* more;
  Index rz_stride;
  T* rdz;
  Index rdz_stride;
  Index samples, outputs;
  bool split, accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index row = at[0] * outputs;
    use(z + row, target + row, same(dl + at[0]), b + at[1] * b_stride, more + at[1] * rz_stride + row,
        out(rz + at[1] * rz_stride + row, true), out(rdz + at[1] * rdz_stride + row, accumulate));
  }
  HSO_HD void element(const T& zc, const T& tc, const T& seed, const T& bc, const T& second, T& rzc, T& to) const {
    const T whole = sum_of_parts(rzc, second, split) + bc;
    rzc = whole;
    store(&to, seed * F::d2(zc, tc) * whole, accumulate);
  }
};

/// hit[n] = 1 when the largest output (or, with one output, the sign of the logit) names the label, which none does
/// where it is -1. Launch with N x 1.
template <class T>
struct Hit {
  const T* z;
  const T* label;
  T* hit;
  T* counted;  ///< 1 where there is a label
  Index outputs;
  HSO_HD void operator()(Index n, Index) const {
    Index best = 0;
    for (Index c = 1; c < outputs; ++c) best = z[n * outputs + c] > z[n * outputs + best] ? c : best;
    if (outputs == 1) best = z[n] > 0 ? 1 : 0;
    hit[n] = best == static_cast<Index>(label[n]) ? T(1) : T(0);
    counted[n] = label[n] < T(0) ? T(0) : T(1);
  }
};

template <class T, class F>
using OutputLossOps = Types<OutputLossValue<T, F>, OutputLossJvp<T, F>, OutputLossVjp<T, F>, OutputLossCross<T, F>,
                            OutputLossCrossAfterBias<T, F>>;

template <class T>
using LossOps =
    typename Joined<Types<CrossEntropyValue<T>, CrossEntropyJvp<T>, CrossEntropyVjp<T>, CrossEntropyCross<T>,
                          CrossEntropyCrossAfterBias<T>, PositionShares<T>, SpreadOverPositions<T>, Hit<T>>,
                    OutputLossOps<T, SquaredError>, OutputLossOps<T, LogisticLoss>, OutputLossOps<T, HuberLoss>>::type;

}  // namespace hso::detail
