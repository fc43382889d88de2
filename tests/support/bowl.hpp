// SPDX-License-Identifier: Apache-2.0
//
// Quadratic functions on the device with a known spectrum, and one stage of pruning on them.
#pragma once

#include <cmath>

#include "hsogpu/prune/removal.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"

namespace hso::test {

/// f = 1/2 (x - x0)' A (x - x0) with A on the device, in tensors of the given shapes.
template <class T>
class Bowl final : public Objective<T> {
 public:
  Bowl(Context& context, Numbers a, Numbers centre, std::vector<ParameterSlice> layout = {})
      : a_(context, static_cast<Index>(centre.size()), std::move(a)),
        centre_(std::move(centre)),
        layout_(std::move(layout)) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  std::vector<ParameterSlice> layout() const override { return layout_.empty() ? Objective<T>::layout() : layout_; }
  double value(const T* theta) override { return at(theta, nullptr); }
  double gradient(const T* theta, T* g) override { return at(theta, g); }
  std::unique_ptr<LinearOperator<T>> curvature(const T*, Curvature) override {
    return std::make_unique<MatrixOperator<T>>(context(), dimension(), a_.data());
  }

 private:
  double at(const T* theta, T* g) {
    const auto n = centre_.size();
    std::vector<T> x(n), out(n, T(0));
    context().to_host(theta, x.data(), static_cast<Index>(n * sizeof(T)));
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double row = 0;
      for (std::size_t j = 0; j < n; ++j) row += a_.host()[i * n + j] * (static_cast<double>(x[j]) - centre_[j]);
      out[i] = static_cast<T>(row);
      sum += 0.5 * row * (static_cast<double>(x[i]) - centre_[i]);
    }
    if (g != nullptr) context().to_device(out.data(), g, static_cast<Index>(n * sizeof(T)));
    return sum;
  }
  DenseOperator<T> a_;
  Numbers centre_;
  std::vector<ParameterSlice> layout_;
};

inline Numbers diagonal(const Numbers& d) {
  Numbers a(d.size() * d.size(), 0);
  for (std::size_t i = 0; i < d.size(); ++i) a[i * d.size() + i] = d[i];
  return a;
}

/// Orthonormal rows by Gram-Schmidt, twice.
inline Numbers orthonormal(std::size_t n, std::uint64_t seed) {
  Numbers q = random_numbers(n * n, seed);
  for (std::size_t i = 0; i < n; ++i)
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t k = 0; k < i; ++k) {
        double dot = 0;
        for (std::size_t j = 0; j < n; ++j) dot += q[i * n + j] * q[k * n + j];
        for (std::size_t j = 0; j < n; ++j) q[i * n + j] -= dot * q[k * n + j];
      }
      double norm = 0;
      for (std::size_t j = 0; j < n; ++j) norm += q[i * n + j] * q[i * n + j];
      for (std::size_t j = 0; j < n; ++j) q[i * n + j] /= std::sqrt(norm);
    }
  return q;
}

inline Numbers with_spectrum(const Numbers& q, const Numbers& values) {
  const std::size_t n = values.size();
  Numbers a(n * n, 0);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] += values[k] * q[k * n + i] * q[k * n + j];
  return a;
}

inline std::vector<Index> removed(const Removed& r) {
  std::vector<Index> out;
  for (const Removal& one : r.removals) out.push_back(one.parameter);
  return out;
}

class RemovalOnDevice : public OnDevice {
 protected:
  /// Without damping unless the rule has one of its own.
  Removed stage(Objective<double>& f, const Numbers& theta, Index count, RemovalRule rule) {
    if (rule.damping == RemovalRule{}.damping) rule.damping = 0;
    return remove_parameters<double>(f, theta, Mask::all(static_cast<Index>(theta.size())), {count}, rule);
  }
};

}  // namespace hso::test
