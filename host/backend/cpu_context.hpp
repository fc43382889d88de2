// SPDX-License-Identifier: Apache-2.0
//
// The context of the CPU: its device memory is host memory.
#pragma once

#include "backend/cpu_ops.hpp"
#include "hsogpu/core/context.hpp"

namespace hso::detail {

class CpuContext : public Context {
 public:
  explicit CpuContext(const ContextOptions& options)
      : Context(options), float_(*this, options.deterministic), double_(*this, options.deterministic) {}
  ~CpuContext() override { destroy_arena(); }

  bool is_cuda() const override { return false; }
  std::string name() const override { return "cpu"; }
  std::string description() const override;
  DeviceMemory memory() const override;
  void synchronize() override {}
  void to_device(const void* host, void* device, Index bytes) override;
  void to_host(const void* device, void* host, Index bytes) override;
  std::unique_ptr<Recorded> make_recorded() override;
  std::unique_ptr<Readback> make_readback(Index capacity) override;

 protected:
  void* raw_allocate(Index bytes) override;
  void raw_release(void* memory) noexcept override;
  Ops<float>& ops_float() override { return float_; }
  Ops<double>& ops_double() override { return double_; }

 private:
  CpuOps<float> float_;
  CpuOps<double> double_;
};

/// "Intel(R) Xeon(R) ..., 2 threads, OpenBLAS core SkylakeX".
std::string cpu_description();

}  // namespace hso::detail
