// SPDX-License-Identifier: Apache-2.0
//
// A context that stands before another one and keeps a clock on every verb. The device is waited for after each call,
// so what asynchronous launches would hide is in the sums.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "hsogpu/detail/ops.hpp"

namespace hso::bench {

struct VerbTime {
  double seconds = 0;
  double multiply_adds = 0;  ///< of matrix products
  Index calls = 0;
};
using VerbTimes = std::map<std::string, VerbTime>;

class TimedContext final : public Context {
 public:
  explicit TimedContext(Context& inner);
  ~TimedContext() override { destroy_arena(); }

  bool is_cuda() const override { return inner_.is_cuda(); }
  std::string name() const override { return inner_.name(); }
  std::string description() const override { return inner_.description(); }
  DeviceMemory memory() const override { return inner_.memory(); }
  void synchronize() override { inner_.synchronize(); }
  void to_device(const void* host, void* device, Index bytes) override { inner_.to_device(host, device, bytes); }
  void to_host(const void* device, void* host, Index bytes) override { inner_.to_host(device, host, bytes); }
  std::unique_ptr<Recorded> make_recorded() override;
  std::unique_ptr<Readback> make_readback(Index capacity) override { return inner_.make_readback(capacity); }

  VerbTimes times;

 protected:
  void* raw_allocate(Index bytes) override { return inner_.allocate(bytes); }
  void raw_release(void* memory) noexcept override { inner_.release(memory, 0); }
  detail::Ops<float>& ops_float() override { return *narrow_; }
  detail::Ops<double>& ops_double() override { return *wide_; }

 private:
  Context& inner_;
  std::unique_ptr<detail::Ops<float>> narrow_;
  std::unique_ptr<detail::Ops<double>> wide_;
};

}  // namespace hso::bench
