// SPDX-License-Identifier: Apache-2.0
//
// An objective seen through host vectors of doubles, in units of one's choice for every variable, and the small vector
// algebra of the checks.
#pragma once

#include <limits>
#include <vector>

#include "hsogpu/objective/objective.hpp"

namespace hso::check {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b);
double norm(const Vector& a);
/// a x + b y
Vector combine(double a, const Vector& x, double b, const Vector& y);
/// |x - y|
double distance(const Vector& x, const Vector& y);
bool all_finite(const Vector& x);
/// n normal numbers of one stream, scaled to length 1.
Vector random_direction(Index n, std::uint64_t seed, std::uint64_t stream);

template <class T>
class Probe {
 public:
  static constexpr double kEpsilon = std::numeric_limits<T>::epsilon();

  /// In z = theta / unit (no unit: theta): gradients and matrices are those of f as a function of z.
  Probe(Objective<T>& objective, Vector theta, Vector unit = {});

  Index dimension() const { return static_cast<Index>(theta_.size()); }
  const Vector& theta() const { return theta_; }
  double value(const Vector& x);
  Vector gradient(const Vector& x, double* value = nullptr);
  /// Curvature at theta times each v, `lanes` of them in one call.
  std::vector<Vector> products(Curvature kind, const std::vector<Vector>& v, Index lanes);
  /// The dense matrix at theta, [n][n].
  Vector dense(Curvature kind);
  /// Products that are differences themselves satisfy the identities up to truncation only.
  bool differentiates_gradient();
  bool has_ggn();

 private:
  const T* upload(const Vector& x);
  Vector scaled(const std::vector<T>& x) const;
  Objective<T>& objective_;
  Vector theta_, unit_;
  Buffer<T> point_, result_;
};

}  // namespace hso::check
