// SPDX-License-Identifier: Apache-2.0
//
// A CPU whose solvers fail as often as they are told to: for the ladders of host/linalg.
#pragma once

#include "backend/cpu_context.hpp"

namespace hso::test {

template <class T>
class FailingOps final : public detail::CpuOps<T> {
 public:
  using detail::CpuOps<T>::CpuOps;
  Index syevd(Index n, T* a, T* w, bool vectors) override {
    if (failing()) return 1;
    const Index info = detail::CpuOps<T>::syevd(n, a, w, vectors);
    if (lies > 0) w[n / 2] += T(1) / T(1 << 10);
    lies = std::max(lies - 1, 0);
    return info;
  }
  Index syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) override {
    return failing() ? 1 : detail::CpuOps<T>::syevd_range(n, a, il, iu, w, z);
  }
  int failures = 0;  ///< calls that are still to fail
  int lies = 0;      ///< calls that are still to return a wrong eigenvalue

 private:
  bool failing() { return failures > 0 && failures-- > 0; }
};

class FailingContext final : public detail::CpuContext {
 public:
  FailingContext() : CpuContext(ContextOptions{.tf32 = false, .poison = true}), narrow(*this), wide(*this) {}
  ~FailingContext() override { destroy_arena(); }
  FailingOps<float> narrow;
  FailingOps<double> wide;

 protected:
  detail::Ops<float>& ops_float() override { return narrow; }
  detail::Ops<double>& ops_double() override { return wide; }
};

}  // namespace hso::test
