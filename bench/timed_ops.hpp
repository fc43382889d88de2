// SPDX-License-Identifier: Apache-2.0
//
// A context that stands before another one and keeps a clock on every verb. The device is waited for after each call,
// so what asynchronous launches would hide is in the sums.
#pragma once

#include <map>
#include <string>

#include "hsogpu/detail/ops.hpp"

namespace hso::bench {

struct VerbTime {
  double seconds = 0;
  double multiply_adds = 0;  ///< of matrix products
  Index calls = 0;
};
using VerbTimes = std::map<std::string, VerbTime>;

template <class T>
class TimedOps final : public detail::Ops<T> {
 public:
  TimedOps(Context& outer, Context& inner, VerbTimes& times) : outer_(outer), inner_(inner), times_(times) {}
  Context& context() override { return outer_; }

  void for_each(Index outer, Index inner, const detail::ElementOp<T>& op) override;
  void recur(Index lanes, Index n, const detail::LaneRecurrence<T>& op, double* squares) override;
  void gemm(const detail::GemmArgs<T>& args) override;
  void sum_rows(const detail::ReduceArgs<T>& args) override;
  void sum_columns(const detail::ReduceArgs<T>& args) override;
  void dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) override;
  void dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                      double* results) override;
  void norms_on_device(Index n, const T* x, double* results) override;
  double max_abs(Index n, const T* x) override;
  void argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) override;
  void sort(Index n, const T* x, Index* order) override;
  void permute(Index n, std::uint64_t seed, Index* order) override;
  void select(Index n, const std::uint8_t* flags, Index* at, Index* count) override;
  Index sort_workspace_bytes(Index n) override { return inner_.ops<T>().sort_workspace_bytes(n); }
  void copy(Index n, const T* from, T* to) override;
  Index potrf(Index n, T* a) override;
  void potrs(Index n, Index nrhs, const T* factor, T* b) override;
  Index potri(Index n, T* factor) override;
  Index syevd(Index n, T* a, T* w, bool vectors) override;
  Index syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) override;
  Index syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) override;
  Index syevd_workspace_bytes(Index n, bool vectors) override;
  Index syevd_range_workspace_bytes(Index n, Index il, Index iu, bool vectors) override {
    return inner_.ops<T>().syevd_range_workspace_bytes(n, il, iu, vectors);
  }
  Index syevd_limit(bool vectors) override { return inner_.ops<T>().syevd_limit(vectors); }
  Index chunk_bytes() const override { return inner_.ops<T>().chunk_bytes(); }

 private:
  template <class Call>
  auto timed(const std::string& verb, const Call& call);
  Context& outer_;
  Context& inner_;
  VerbTimes& times_;
};

class TimedContext final : public Context {
 public:
  explicit TimedContext(Context& inner)
      : Context(inner.options()), inner_(inner), narrow_(*this, inner, times), wide_(*this, inner, times) {}
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
  detail::Ops<float>& ops_float() override { return narrow_; }
  detail::Ops<double>& ops_double() override { return wide_; }

 private:
  Context& inner_;
  TimedOps<float> narrow_;
  TimedOps<double> wide_;
};

}  // namespace hso::bench
