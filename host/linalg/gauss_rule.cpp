// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "linalg/host_eigen.hpp"

namespace hso::detail {

namespace {

constexpr int kMostSteps = 60;

/// Implicit QL steps on the tridiagonal matrix (d, e), the rotations applied to the row vector z, e_1' at the start.
class ImplicitQl {
 public:
  ImplicitQl(std::vector<double> diagonal, std::vector<double> off_diagonal)
      : m_(diagonal.size()), d_(std::move(diagonal)), e_(std::move(off_diagonal)), z_(m_, 0.0) {
    e_.resize(m_);
    z_[0] = 1;
  }

  void run() {
    for (std::size_t first = 0; first < m_; ++first) {
      int steps = 0;
      for (std::size_t last = end_of_block(first); last != first; last = end_of_block(first)) {
        if (++steps > kMostSteps)
          throw NumericalError(fmt::format("host_gauss_rule: node {} of {} did not converge", first + 1, m_));
        step(first, last);
      }
    }
  }

  GaussRule sorted() const {
    std::vector<std::size_t> order(m_);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) { return d_[a] < d_[b]; });
    GaussRule rule;
    for (std::size_t i : order) {
      rule.nodes.push_back(d_[i]);
      rule.weights.push_back(z_[i] * z_[i]);
    }
    return rule;
  }

 private:
  /// The first row from `first` on whose coupling to the next is rounding.
  std::size_t end_of_block(std::size_t first) const {
    std::size_t row = first;
    while (row + 1 < m_ &&
           std::abs(e_[row]) > std::numeric_limits<double>::epsilon() * (std::abs(d_[row]) + std::abs(d_[row + 1])))
      ++row;
    return row;
  }

  /// One step on rows first..last with the eigenvalue of the leading 2 x 2 block that is nearer to its corner.
  void step(std::size_t first, std::size_t last) {
    const double half = (d_[first + 1] - d_[first]) / (2 * e_[first]);
    double g = d_[last] - d_[first] + e_[first] / (half + std::copysign(std::hypot(half, 1), half));
    double sine = 1, cosine = 1, moved = 0;
    for (std::size_t i = last; i-- > first;) {
      const double f = sine * e_[i], b = cosine * e_[i], length = std::hypot(f, g);
      e_[i + 1] = length;
      if (length == 0) {  // the matrix falls apart here
        d_[i + 1] -= moved;
        e_[last] = 0;
        return;
      }
      sine = f / length;
      cosine = g / length;
      g = d_[i + 1] - moved;
      const double r = (d_[i] - g) * sine + 2 * cosine * b;
      moved = sine * r;
      d_[i + 1] = g + moved;
      g = cosine * r - b;
      const double above = z_[i], below = z_[i + 1];
      z_[i + 1] = sine * above + cosine * below;
      z_[i] = cosine * above - sine * below;
    }
    d_[first] -= moved;
    e_[first] = g;
    e_[last] = 0;
  }

  std::size_t m_;
  std::vector<double> d_, e_, z_;
};

}  // namespace

GaussRule host_gauss_rule(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal) {
  if (diagonal.empty()) return {};
  ImplicitQl ql(diagonal, off_diagonal);
  ql.run();
  return ql.sorted();
}

GaussRule host_radau_rule(std::vector<double> diagonal, const std::vector<double>& off_diagonal, double at) {
  const std::size_t m = diagonal.size();
  if (m == 0) return {};
  double size = std::abs(at);
  for (double x : diagonal) size = std::max(size, std::abs(x));
  for (double x : off_diagonal) size = std::max(size, std::abs(x));
  const double least = std::max(std::numeric_limits<double>::epsilon() * size, std::numeric_limits<double>::min());
  double pivot = diagonal[0] - at;  // of the elimination of T - at I
  diagonal[m - 1] = at;
  for (std::size_t j = 1; j < m; ++j) {
    if (std::abs(pivot) < least) pivot = std::copysign(least, pivot);  // `at` is a node already
    const double step = off_diagonal[j - 1] * (off_diagonal[j - 1] / pivot);
    if (j + 1 == m)
      diagonal[j] += step;
    else
      pivot = diagonal[j] - at - step;
  }
  return host_gauss_rule(diagonal, off_diagonal);
}

double log_largest_mass(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal, double at) {
  constexpr double kLarge = 1e100;
  double before = 0, p = 1, sum = 1, log_scale = 0;
  for (std::size_t j = 0; j + 1 < diagonal.size(); ++j) {
    const double back = j == 0 ? 0 : off_diagonal[j - 1];
    const double next = ((at - diagonal[j]) * p - back * before) / off_diagonal[j];
    before = p;
    p = next;
    sum += p * p;
    if (sum < kLarge) continue;
    const double root = std::sqrt(sum);
    before /= root;
    p /= root;
    log_scale += std::log(sum);
    sum = 1;
  }
  return -(std::log(sum) + log_scale);
}

}  // namespace hso::detail
