// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "objective/check/check_items.hpp"

namespace hso {
namespace check {
namespace {

/// max over the pairs of |x - y| over the larger of |x| and |y|.
double worst_distance(const std::vector<Vector>& x, const std::vector<Vector>& y) {
  double worst = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const double size = std::max({norm(x[k]), norm(y[k]), 1e-300}), error = distance(x[k], y[k]) / size;
    worst = error <= worst ? worst : error;  // NaN is the worst
  }
  return worst;
}

template <class T>
class Checker {
 public:
  Checker(Objective<T>& objective, const Vector& theta, const CheckOptions& options)
      : probe_(objective, theta, units(theta, options)), options_(options), blocks_(options.blocks) {
    for (int k = 0; k < std::max(options.directions, 2); ++k)
      v_.push_back(random_direction(probe_.dimension(), options.seed, static_cast<std::uint64_t>(k)));
    if (by_coordinate(theta, options))
      for (Index i = 0; i < probe_.dimension(); ++i) blocks_.push_back({fmt::format("coordinate {}", i), i, 1});
  }

  CheckReport run() {
    if (!finite()) return report_;
    identities();
    if (probe_.has_ggn()) gauss_newton();
    const bool hold = report_.passed();
    std::vector<CheckItem> first{gradient_differences(hold), hessian_differences(hold)};
    report_.items.insert(report_.items.begin(), first.begin(), first.end());
    return report_;
  }

 private:
  static bool by_coordinate(const Vector& theta, const CheckOptions& options) {
    return options.blocks.empty() && static_cast<Index>(theta.size()) <= options.coordinate_limit;
  }
  /// Where single variables are looked at, |theta_i|, or 1 where that is 0: a step moves each in proportion to its
  /// size, and no gradient entry is small for its unit's sake.
  static Vector units(const Vector& theta, const CheckOptions& options) {
    Vector out(theta.size(), 1.0);
    for (std::size_t i = 0; i < theta.size() && by_coordinate(theta, options); ++i)
      if (theta[i] != 0 && std::isfinite(theta[i])) out[i] = std::abs(theta[i]);
    return out;
  }

  bool finite() {
    value_ = probe_.value(probe_.theta());
    g_ = probe_.gradient(probe_.theta(), &gradient_value_);
    if (std::isfinite(value_) && all_finite(g_)) return true;
    report_.items.push_back({"value and gradient are finite", CheckStatus::failed, INFINITY, 0, "",
                             fmt::format("f = {}, |g| = {}; nothing else was checked", value_, norm(g_))});
    return false;
  }

  /// Rounding alone for exact products; what central differences leave for products that are differences.
  Rounding rounding() {
    const double eps = Probe<T>::kEpsilon, h = 0.01 * std::sqrt(eps) * (1 + norm(probe_.theta()));
    double noise = eps * std::abs(value_);
    for (const Vector& v : v_) {
      const double plus = probe_.value(combine(1, probe_.theta(), h, v));
      const double minus = probe_.value(combine(1, probe_.theta(), -h, v));
      noise = std::max(noise, std::abs(0.5 * (plus + minus) - value_));
    }
    return rounding_of(eps, probe_.dimension(), value_, noise);
  }

  void identity(const std::string& name, double error, const std::string& cause) {
    report_.items.push_back(identity_item(name, error, rounding_, cause));
  }

  void identities() {
    rounding_ = rounding();
    identity("value: alone = with gradient", std::abs(value_ - gradient_value_) / std::max(std::abs(value_), 1e-300),
             "value and gradient compute different functions (weight decay in one of them?)");
    if (probe_.differentiates_gradient()) rounding_.plain = 100 * std::pow(Probe<T>::kEpsilon, 2.0 / 3);
    hv_ = probe_.products(Curvature::hessian, v_, 1);
    const auto count = static_cast<Index>(v_.size());
    identity("hessian: same answer twice", worst_distance(hv_, probe_.products(Curvature::hessian, v_, 1)),
             "products depend on what ran before: memory that is not cleared, or a race");
    identity("hessian: lanes = single calls", worst_distance(hv_, probe_.products(Curvature::hessian, v_, count)),
             "lanes share memory or a stride is wrong");
    identity("hessian: symmetry", asymmetry(hv_),
             "a second-order (cross) rule is wrong or missing, or a term was dropped");
    const Vector sum = combine(2, v_[0], -3, v_[1]);
    identity("hessian: linearity",
             worst_distance(probe_.products(Curvature::hessian, {sum}, 1), {combine(2, hv_[0], -3, hv_[1])}),
             "the product adds onto old results or depends on its argument's size");
    dense(Curvature::hessian, hv_);
  }

  double asymmetry(const std::vector<Vector>& products) const {
    double worst = 0;
    for (std::size_t k = 1; k < v_.size(); ++k) {
      const double size = 0.5 * (norm(products[k - 1]) + norm(products[k]));
      const double error = std::abs(dot(v_[k - 1], products[k]) - dot(v_[k], products[k - 1])) / std::max(size, 1e-300);
      worst = error <= worst ? worst : error;
    }
    return worst;
  }

  void dense(Curvature kind, const std::vector<Vector>& products) {
    const std::string name = name_of(kind) + ": dense = products";
    const Index n = probe_.dimension();
    if (n > options_.dense_limit) {
      report_.items.push_back(skipped_item(name, fmt::format("n = {} is above the limit {}", n, options_.dense_limit)));
      return;
    }
    const Vector h = probe_.dense(kind);
    std::vector<Vector> rows(1, Vector(static_cast<std::size_t>(n)));
    for (Index i = 0; i < n; ++i)
      rows[0][static_cast<std::size_t>(i)] = std::inner_product(v_[0].begin(), v_[0].end(), h.begin() + i * n, 0.0);
    identity(name, worst_distance(rows, {products[0]}),
             "a block of the matrix is skipped, misplaced or mirrored wrongly");
  }

  void gauss_newton() {
    const std::vector<Vector> gv = probe_.products(Curvature::ggn, v_, static_cast<Index>(v_.size()));
    identity("ggn: symmetry", asymmetry(gv), "a forward and a reverse rule (jvp, vjp) are not adjoint");
    double negative = 0;
    for (std::size_t k = 0; k < v_.size(); ++k) {
      const double error = -dot(v_[k], gv[k]) / std::max(norm(gv[k]), 1e-300);
      negative = error <= negative ? negative : error;
    }
    identity("ggn: positive semidefinite", negative,
             "the loss is not convex in the outputs, or its second derivative is wrong");
    dense(Curvature::ggn, gv);
  }

  DifferenceTask task(VectorFunction f) const {
    return {std::move(f), probe_.theta(), Probe<T>::kEpsilon, !options_.kinks.empty()};
  }

  CheckItem gradient_differences(bool identities_hold) {
    const DifferenceTask value = task([this](const Vector& x) { return Vector{probe_.value(x)}; });
    const double typical = norm(g_) / std::sqrt(static_cast<double>(g_.size()));
    const auto along = [&](const Vector& v) {
      const double slope = dot(g_, v);
      return compare_difference(value, v, {slope}, std::max(std::abs(slope), typical));
    };
    std::vector<Difference> all;
    for (const Vector& v : v_) all.push_back(along(v));
    DifferenceVerdict verdict{"gradient = differences of the value", "the gradient is not that of the value", "",
                              identities_hold};
    CheckItem item = difference_item(verdict, all, options_.kinks);
    if (item.status == CheckStatus::passed || blocks_.empty()) return item;
    // By the share of its bound: an error that rounding or truncation explains names nothing.
    verdict.where = worst_block([&](const CheckBlock& block) {
      const Difference d = along(inside(block));
      return d.bound > 0 ? d.error / d.bound : d.error;
    });
    return difference_item(verdict, all, options_.kinks);
  }

  CheckItem hessian_differences(bool identities_hold) {
    const DifferenceTask gradient = task([this](const Vector& x) { return probe_.gradient(x); });
    std::vector<Difference> all;
    for (std::size_t k = 0; k < v_.size(); ++k)
      all.push_back(compare_difference(gradient, v_[k], hv_[k], norm(hv_[k])));
    DifferenceVerdict verdict{"hessian = differences of the gradient", "Hv is not the derivative of the gradient", "",
                              identities_hold};
    CheckItem item = difference_item(verdict, all, options_.kinks);
    if (item.status == CheckStatus::passed || blocks_.empty()) return item;
    verdict.where = worst_block([&](const CheckBlock& b) {
      const auto slice = [&](const Vector& x) { return Vector(x.begin() + b.offset, x.begin() + b.offset + b.size); };
      return distance(slice(all[0].value), slice(hv_[0]));
    });
    return difference_item(verdict, all, options_.kinks);
  }

  /// A random direction that moves one block alone.
  Vector inside(const CheckBlock& block) const {
    Vector v(g_.size(), 0.0);
    const Vector part = random_direction(block.size, options_.seed, 0);
    std::copy(part.begin(), part.end(), v.begin() + block.offset);
    return v;
  }

  template <class F>
  std::string worst_block(const F& error_of) const {
    const CheckBlock* worst = nullptr;
    double largest = 0;
    for (const CheckBlock& block : blocks_)
      if (const double error = error_of(block); worst == nullptr || error > largest) {
        worst = &block;
        largest = error;
      }
    return fmt::format(", most of all in {}", worst->name);
  }

  Probe<T> probe_;
  const CheckOptions& options_;
  std::vector<CheckBlock> blocks_;
  CheckReport report_;
  Rounding rounding_;
  std::vector<Vector> v_, hv_;
  Vector g_;
  double value_ = 0, gradient_value_ = 0;
};

}  // namespace
}  // namespace check

template <class T>
CheckReport check_derivatives(Objective<T>& objective, const T* theta, const CheckOptions& options) {
  const Index n = objective.dimension();
  if (n < 1) throw UsageError("check_derivatives: an objective of no variables");
  std::vector<T> host(static_cast<std::size_t>(n));
  objective.context().to_host(theta, host.data(), n * static_cast<Index>(sizeof(T)));
  return check::Checker<T>(objective, check::Vector(host.begin(), host.end()), options).run();
}

template CheckReport check_derivatives(Objective<float>&, const float*, const CheckOptions&);
template CheckReport check_derivatives(Objective<double>&, const double*, const CheckOptions&);

}  // namespace hso
