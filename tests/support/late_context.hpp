// SPDX-License-Identifier: Apache-2.0
//
// A CPU that behaves towards solvers like a device whose results come late, and counts how often the host waits for
// one and sends it numbers.
#pragma once

#include "backend/cpu_context.hpp"

namespace hso::test {

struct Traffic {
  Index waits = 0;    ///< for a result of any kind
  Index uploads = 0;  ///< calls of to_device
};

template <class T>
class LateOps final : public detail::CpuOps<T> {
 public:
  LateOps(Context& context, Traffic& traffic) : detail::CpuOps<T>(context), traffic_(traffic) {}
  void dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) override {
    ++traffic_.waits;
    detail::CpuOps<T>::dots(lanes, n, x, x_stride, y, y_stride, host);
  }
  void dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                      double* results) override {
    detail::CpuOps<T>::dots(lanes, n, x, x_stride, y, y_stride, results);
  }
  double max_abs(Index n, const T* x) override {
    ++traffic_.waits;
    return detail::CpuOps<T>::max_abs(n, x);
  }

 private:
  Traffic& traffic_;
};

class LateContext final : public detail::CpuContext {
 public:
  LateContext()
      : CpuContext(ContextOptions{.tf32 = false, .poison = true}), narrow_(*this, traffic), wide_(*this, traffic) {}
  ~LateContext() override { destroy_arena(); }
  Traffic traffic;

  bool is_cuda() const override { return true; }
  void to_device(const void* host, void* device, Index bytes) override {
    ++traffic.uploads;
    CpuContext::to_device(host, device, bytes);
  }
  void to_host(const void* device, void* host, Index bytes) override {
    ++traffic.waits;
    CpuContext::to_host(device, host, bytes);
  }
  std::unique_ptr<Readback> make_readback(Index capacity) override {
    return std::make_unique<Counted>(CpuContext::make_readback(capacity), traffic);
  }

 protected:
  detail::Ops<float>& ops_float() override { return narrow_; }
  detail::Ops<double>& ops_double() override { return wide_; }

 private:
  struct Counted final : Readback {
    Counted(std::unique_ptr<Readback> readback, Traffic& counts) : inside(std::move(readback)), traffic(counts) {}
    void post(const double* device, Index count) override { inside->post(device, count); }
    Span<const double> values() override {
      ++traffic.waits;
      return inside->values();
    }
    std::unique_ptr<Readback> inside;
    Traffic& traffic;
  };
  LateOps<float> narrow_;
  LateOps<double> wide_;
};

}  // namespace hso::test
