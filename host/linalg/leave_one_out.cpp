// SPDX-License-Identifier: Apache-2.0
#include "linalg/leave_one_out.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hso::detail {

namespace {

using Numbers = std::vector<double>;
constexpr double kEps = std::numeric_limits<double>::epsilon();

/// a b' , or a b
SmallMatrix times(const SmallMatrix& a, const SmallMatrix& b, bool transposed) {
  SmallMatrix c(a.k);
  for (std::size_t i = 0; i < a.k; ++i)
    for (std::size_t l = 0; l < a.k; ++l)
      for (std::size_t j = 0; j < a.k; ++j)
        if (transposed)
          c(i, l) += a(i, j) * b(l, j);
        else
          c(i, j) += a(i, l) * b(l, j);
  return c;
}

/// Row j: column j of the inverse transpose of the upper triangular r, scaled to length 1: the direction of the range
/// that only probe j contributed.
SmallMatrix lonely_directions(const SmallMatrix& r) {
  SmallMatrix out(r.k);
  for (std::size_t j = 0; j < r.k; ++j) {
    double norm = 0;
    for (std::size_t i = j; i < r.k; ++i) {  // r' s = e_j, by forward substitution
      double sum = i == j ? 1 : 0;
      for (std::size_t l = j; l < i; ++l) sum -= r(l, i) * out(j, l);
      out(j, i) = sum / r(i, i);
      norm += out(j, i) * out(j, i);
    }
    for (std::size_t i = j; i < r.k; ++i) out(j, i) /= std::sqrt(norm);
  }
  return out;
}

/// XTrace's estimates with one probe left out or two, from inner products with the lonely directions s_j.
class XTrace {
 public:
  explicit XTrace(const XTraceSketch& sketch)
      : sketch_(sketch),
        k_(sketch.h.k),
        s_(lonely_directions(sketch.r)),
        ss_(times(s_, s_, true)),
        sw_(times(s_, sketch.w, true)),
        hw_(times(sketch.w, sketch.h, true)),
        shs_(times(times(s_, sketch.h, true), s_, true)),
        shw_(times(s_, hw_, true)),
        wr_(k_),
        whw_(k_),
        ww_(k_),
        sr_(k_) {
    for (std::size_t j = 0; j < k_; ++j)
      for (std::size_t i = 0; i < k_; ++i) {
        wr_[j] += sketch.w(j, i) * sketch.r(i, j);
        whw_[j] += sketch.w(j, i) * hw_(j, i);
        ww_[j] += sketch.w(j, i) * sketch.w(j, i);
        sr_[j] += s_(j, i) * sketch.r(i, j);
      }
    for (std::size_t i = 0; i < k_; ++i) captured_ += sketch.h(i, i);
  }

  /// tr(Q_j A Q_j') + a probe of the rest with z_j, normalised to the sphere of the dimensions it lives in.
  double leave(std::size_t j) const {
    const double a = sw_(j, j), h = shs_(j, j);
    const double square = ww_[j] - a * a, along = wr_[j] - a * sr_[j];
    const double inside = whw_[j] - 2 * a * shw_(j, j) + a * a * h;
    return captured_ - h + rest(j, square, along, inside, 1);
  }

  /// The same where probe l was never drawn: Q_j loses the plane of s_j and s_l, of which u = (s_l - c s_j) / sine is
  /// the other unit vector. s_l'r_j = 0.
  double leave(std::size_t j, std::size_t l) const {
    const double c = ss_(l, j), sine = std::sqrt(std::max(1 - c * c, kEps));
    const double a = sw_(j, j), b = (sw_(l, j) - c * a) / sine, ur = -c * sr_[j] / sine;
    const double uhw = (shw_(l, j) - c * shw_(j, j)) / sine;
    const double h = shs_(j, j), uhs = (shs_(l, j) - c * h) / sine;
    const double uhu = (shs_(l, l) - 2 * c * shs_(l, j) + c * c * h) / (sine * sine);
    const double square = ww_[j] - a * a - b * b, along = wr_[j] - a * sr_[j] - b * ur;
    const double inside = whw_[j] - 2 * a * shw_(j, j) - 2 * b * uhw + a * a * h + 2 * a * b * uhs + b * b * uhu;
    return captured_ - h - uhu + rest(j, square, along, inside, 2);
  }

 private:
  /// z_j'(I - P) A (I - P) z_j over |(I - P) z_j|^2, P the projection onto k - out dimensions of the range, in which
  /// z_j has the part c: |c|^2, c'A z_j and c'A c.
  double rest(std::size_t j, double square, double along, double inside, Index out) const {
    const double length = sketch_.squares[j] - square;
    const double dimensions = static_cast<double>(sketch_.n - static_cast<Index>(k_) + out);
    return length > 0 ? dimensions / length * (wr_[j] - 2 * along + inside) : 0;
  }

  const XTraceSketch& sketch_;
  std::size_t k_;
  SmallMatrix s_, ss_, sw_, hw_, shs_, shw_;
  Numbers wr_, whw_, ww_, sr_;
  double captured_ = 0;
};

/// `leave(j)` is the estimate from z_j and the others, `leave(j, l)` the same where z_l was never drawn.
template <class Leave>
LeaveOneOut all_of(std::size_t k, const Leave& estimates) {
  LeaveOneOut out{0, Numbers(k, 0)};
  for (std::size_t j = 0; j < k; ++j) {
    out.value += estimates.leave(j) / static_cast<double>(k);
    for (std::size_t l = 0; l < k; ++l)
      if (l != j) out.without[l] += estimates.leave(j, l) / static_cast<double>(k - 1);
  }
  return out;
}

/// The inverse of the lower Cholesky factor; nothing when a is not positive definite.
std::optional<SmallMatrix> inverse_factor(SmallMatrix a) {
  const std::size_t k = a.k;
  for (std::size_t j = 0; j < k; ++j) {
    for (std::size_t l = 0; l < j; ++l)
      for (std::size_t i = j; i < k; ++i) a(i, j) -= a(i, l) * a(j, l);
    if (!(a(j, j) > 0)) return std::nullopt;
    const double root = std::sqrt(a(j, j));
    for (std::size_t i = j; i < k; ++i) a(i, j) /= root;
  }
  SmallMatrix inverse(k);
  for (std::size_t j = 0; j < k; ++j)
    for (std::size_t i = j; i < k; ++i) {
      double sum = i == j ? 1 : 0;
      for (std::size_t l = j; l < i; ++l) sum -= a(i, l) * inverse(l, j);
      inverse(i, j) = sum / a(i, i);
    }
  return inverse;
}

/// f' f of a lower triangular f
SmallMatrix gram_of(const SmallMatrix& f) {
  SmallMatrix out(f.k);
  for (std::size_t l = 0; l < f.k; ++l)
    for (std::size_t i = 0; i <= l; ++i)
      for (std::size_t j = 0; j <= l; ++j) out(i, j) += f(l, i) * f(l, j);
  return out;
}

/// XNysTrace: without z_j the Nystrom approximation loses x_j x_j' / m_jj, m the inverse of Z'Y and x_j = Y m e_j, and
/// z_j'(A - what is left) z_j = 1 / m_jj, since Z'x_j = e_j. Only the part of z_j outside the other probes counts; its
/// length is 1 / g_jj, g the inverse of Z'Z. Leaving out two is the same after one step of elimination in m, g and x.
class XNysTrace {
 public:
  XNysTrace(const NystromSketch& sketch, const SmallMatrix& factor, const SmallMatrix& gram_factor)
      : free_(static_cast<double>(sketch.n - static_cast<Index>(sketch.r.k))),
        shifts_(sketch.shift * static_cast<double>(sketch.n)),
        m_(gram_of(factor)),
        g_(gram_of(gram_factor)),
        x_(sketch.r.k) {
    const SmallMatrix b = times(sketch.r, factor, true);
    for (double v : b.entries) trace_ += v * v;
    const SmallMatrix y = times(b, factor, false);
    for (std::size_t l = 0; l < y.k; ++l)
      for (std::size_t i = 0; i < y.k; ++i)
        for (std::size_t j = 0; j < y.k; ++j) x_(i, j) += y(l, i) * y(l, j);
  }

  double leave(std::size_t j) const {
    return trace_ - x_(j, j) / m_(j, j) + (free_ + 1) * g_(j, j) / m_(j, j) - shifts_;
  }

  double leave(std::size_t j, std::size_t l) const {
    const double ratio = m_(j, l) / m_(l, l);
    const double m = m_(j, j) * std::max(1 - m_(j, l) * ratio / m_(j, j), kEps);
    const double g = g_(j, j) * std::max(1 - g_(j, l) * g_(j, l) / (g_(l, l) * g_(j, j)), kEps);
    const double x = x_(j, j) - 2 * x_(j, l) * ratio + x_(l, l) * ratio * ratio;
    return trace_ - x_(l, l) / m_(l, l) - x / m + (free_ + 2) * g / m - shifts_;
  }

 private:
  double free_, shifts_, trace_ = 0;
  SmallMatrix m_, g_, x_;  ///< (Z'Y)^-1, (Z'Z)^-1, x_i'x_j
};

}  // namespace

LeaveOneOut xtrace_of(const XTraceSketch& sketch) { return all_of(sketch.h.k, XTrace(sketch)); }

std::optional<LeaveOneOut> xnystrace_of(const NystromSketch& sketch) {
  const auto factor = inverse_factor(sketch.zy), gram_factor = inverse_factor(sketch.gram);
  if (!factor || !gram_factor) return std::nullopt;
  return all_of(sketch.r.k, XNysTrace(sketch, *factor, *gram_factor));
}

}  // namespace hso::detail
