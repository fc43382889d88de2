// SPDX-License-Identifier: Apache-2.0
//
// The verbs on a CPU: OpenMP loops, OpenBLAS, LAPACK. One file a family: cpu_for_each.hpp, cpu_blas.cpp,
// cpu_reduce.cpp, cpu_sort.cpp, cpu_lapack.cpp, cpu_convolutions.cpp. OpenBLAS runs its own OpenMP threads; inside a
// parallel region it stays on one.
#pragma once

#include <vector>

#include "backend/cpu_convolutions.hpp"
#include "backend/host_memory.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

template <class T>
class CpuOps : public Ops<T>, public CpuConvolutions<T> {
 public:
  /// `deterministic`: no result depends on the number of threads.
  explicit CpuOps(Context& context, bool deterministic = false)
      : CpuConvolutions<T>(context, second_level_cache_bytes() / 4 * 3),
        context_(context),
        deterministic_(deterministic) {}
  Context& context() override { return context_; }

  void for_each(Index outer, Index inner, const ElementOp<T>& op) override;
  void recur(Index lanes, Index n, const LaneRecurrence<T>& op, double* squares) override;
  void gemm(const GemmArgs<T>& args) override;
  void sum_rows(const ReduceArgs<T>& args) override;
  void sum_columns(const ReduceArgs<T>& args) override;
  void dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) override;
  void dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                      double* results) override {
    dots(lanes, n, x, x_stride, y, y_stride, results);
  }
  void norms_on_device(Index n, const T* x, double* results) override {
    dots(1, n, x, n, x, n, &results[0]);
    results[1] = max_abs(n, x);
  }
  double max_abs(Index n, const T* x) override;
  void argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) override;
  void sort(Index n, const T* x, Index* order) override;
  void permute(Index n, std::uint64_t seed, Index* order) override;
  void select(Index n, const std::uint8_t* flags, Index* at, Index* count) override;
  Index sort_workspace_bytes(Index n) override;
  void copy(Index n, const T* from, T* to) override;

  Index potrf(Index n, T* a) override;
  void potrs(Index n, Index nrhs, const T* factor, T* b) override;
  Index potri(Index n, T* factor) override;
  Index syevd(Index n, T* a, T* w, bool vectors) override;
  Index syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) override;
  Index syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) override;
  Index syevd_workspace_bytes(Index n, bool vectors) override;
  /// Vectors: where LAPACK's 32-bit workspace size ends.
  Index syevd_limit(bool vectors) override { return vectors ? 32766 : INT32_MAX / 128; }

  Index chunk_bytes() const override { return this->scratch_bytes_; }

 private:
  /// Of a factorisation of order n, each with at least `columns` of them: LAPACK joins its threads in every column, and
  /// below this they wait more than they work.
  int lapack_threads(Index n, Index columns) const;
  double* partials(Index n);  ///< host room for n partial sums, kept between calls

  Context& context_;
  bool deterministic_;
  std::vector<double> partials_;
};

}  // namespace hso::detail
