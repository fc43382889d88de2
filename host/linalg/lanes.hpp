// SPDX-License-Identifier: Apache-2.0
//
// What solvers with many right-hand sides share: arithmetic on all lanes at once, and the check of a system.
#pragma once

#include <vector>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/solvers.hpp"

namespace hso::detail {

using Numbers = std::vector<double>;

/// K vectors of n numbers in scratch, and the arithmetic of a step on all of them.
template <class T>
class Lanes {
 public:
  Lanes(Ops<T>& ops, Scratch& scratch, Index k, Index n) : ops_(ops), k_(k), n_(n) {
    factors_ = scratch.take<T>(2 * k);
  }
  Numbers dots(View<const T> x, View<const T> y) {
    Numbers out(static_cast<std::size_t>(k_));
    ops_.dots(k_, n_, x.data, x.lane_stride, y.data, y.lane_stride, out.data());
    return out;
  }
  /// y_k = a_k x_k + b_k y_k
  void combine(const Numbers& a, View<const T> x, const Numbers& b, View<T> y) {
    std::vector<T> host(a.begin(), a.end());
    host.insert(host.end(), b.begin(), b.end());
    ops_.context().to_device(host.data(), factors_, static_cast<Index>(host.size() * sizeof(T)));
    ops_.for_each(k_, n_, LaneAxpby<T>{factors_, x.data, x.lane_stride, factors_ + k_, y.data, y.lane_stride});
  }

 private:
  Ops<T>& ops_;
  Index k_, n_;
  T* factors_;
};

/// InputError and UsageError, starting with `what`, for shapes that do not fit and a tolerance that is not positive.
template <class T>
void require_system(const char* what, const LinearOperator<T>& a, const View<const T>& b, const View<T>& x,
                    const KrylovOptions<T>& options);

}  // namespace hso::detail
