// SPDX-License-Identifier: Apache-2.0
//
// LAPACK is column-major: our lower triangle is its upper one, our rows are its columns.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>

#include "backend/blas.hpp"
#include "backend/blas_threads.hpp"
#include "backend/cpu_ops.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {

namespace {

constexpr char kUpper = 'U';
constexpr Index kBlockSize = 64;  // columns that LAPACK's blocked reductions work on, with room to spare

constexpr Index kFactorColumns = 512, kEigenColumns = 2048;

/// A negative info is a wrong argument: ours, not the caller's numbers.
Index checked_info(int info, const char* what) {
  if (info < 0) throw NumericalError(fmt::format("{}: LAPACK refused its argument {}", what, -info));
  return info;
}

struct SyevdSizes {
  Index work, iwork;
};

/// Computed in 64-bit integers: LAPACK's own query wraps above n = 32,766 and rounds in float32.
SyevdSizes syevd_sizes(Index n, bool vectors) {
  if (!vectors) return {1 + (2 + kBlockSize) * n, 1};
  return {1 + 6 * n + 2 * n * n, 3 + 5 * n};
}

template <class T>
struct SyevdWork {
  T* work;
  int* iwork;
  SyevdSizes sizes;
  int threads;
};

template <class T>
Index solve_syevd(Index n, T* a, T* w, bool vectors, const SyevdWork<T>& work) {
  const char job = vectors ? 'V' : 'N';
  const int order = blas_int(n, "syevd"), lwork = blas_int(work.sizes.work, "syevd: workspace for these vectors"),
            liwork = blas_int(work.sizes.iwork, "syevd");
  int info = 0;
  const BlasThreads threads(work.threads);
  Blas<T>::syevd(&job, &kUpper, &order, a, &order, w, work.work, &lwork, work.iwork, &liwork, &info, 1, 1);
  return checked_info(info, "syevd");
}

void check_order(Index n, Index limit) {
  if (n > limit)
    throw NumericalError(fmt::format("syevd: n = {}; LAPACK's 32-bit workspace size holds n up to {}", n, limit));
}

}  // namespace

template <class T>
int CpuOps<T>::lapack_threads(Index n, Index columns) const {
  return deterministic_ ? 1 : static_cast<int>(std::clamp<Index>(n / columns, 1, omp_get_max_threads()));
}

template <class T>
Index CpuOps<T>::potrf(Index n, T* a) {
  const InUse in_use(context_);
  if (n == 0) return 0;
  const int order = blas_int(n, "potrf");
  int info = 0;
  const BlasThreads threads(lapack_threads(n, kFactorColumns));
  Blas<T>::potrf(&kUpper, &order, a, &order, &info, 1);
  return checked_info(info, "potrf");
}

template <class T>
void CpuOps<T>::potrs(Index n, Index nrhs, const T* factor, T* b) {
  const InUse in_use(context_);
  if (n == 0 || nrhs == 0) return;
  const int order = blas_int(n, "potrs"), columns = blas_int(nrhs, "potrs");
  int info = 0;
  const BlasThreads threads(lapack_threads(n, kFactorColumns));
  Blas<T>::potrs(&kUpper, &order, &columns, factor, &order, b, &order, &info, 1);
  checked_info(info, "potrs");
}

template <class T>
Index CpuOps<T>::potri(Index n, T* factor) {
  const InUse in_use(context_);
  if (n == 0) return 0;
  const int order = blas_int(n, "potri");
  int info = 0;
  const BlasThreads threads(lapack_threads(n, kFactorColumns));
  Blas<T>::potri(&kUpper, &order, factor, &order, &info, 1);
  if (info == 0) for_each(n, n, MirrorLower<T>{factor, n});
  return checked_info(info, "potri");
}

template <class T>
Index CpuOps<T>::syevd_workspace_bytes(Index n, bool vectors) {
  const SyevdSizes sizes = syevd_sizes(n, vectors);
  return sizes.work * static_cast<Index>(sizeof(T)) + sizes.iwork * static_cast<Index>(sizeof(int));
}

template <class T>
Index CpuOps<T>::syevd(Index n, T* a, T* w, bool vectors) {
  return syevd_batched(n, 1, a, w, vectors);
}

template <class T>
Index CpuOps<T>::syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) {
  const InUse in_use(context_);
  constexpr Index kSmall = 256;  // below it one matrix does not keep the threads busy: one matrix a thread
  if (n == 0 || batch == 0) return 0;
  check_order(n, syevd_limit(vectors));
  const SyevdSizes sizes = syevd_sizes(n, vectors);
  const int threads = batch > 1 && n <= kSmall && !omp_in_parallel() ? omp_get_max_threads() : 1;
  Scratch scratch(context_);
  // One piece: a second one behind a large block would open a block of its own.
  char* memory = scratch.take<char>(threads * syevd_workspace_bytes(n, vectors));
  T* work = reinterpret_cast<T*>(memory);
  int* iwork = reinterpret_cast<int*>(work + threads * sizes.work);
  Index worst = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1) reduction(max : worst)
  for (Index b = 0; b < batch; ++b) {
    const int me = threads > 1 ? omp_get_thread_num() : 0;
    const SyevdWork<T> mine{work + me * sizes.work, iwork + me * sizes.iwork, sizes, lapack_threads(n, kEigenColumns)};
    worst = std::max(worst, solve_syevd(n, a + b * n * n, w + b * n, vectors, mine));
  }
  return worst;
}

template <class T>
Index CpuOps<T>::syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) {
  const InUse in_use(context_);
  if (il < 0 || iu >= n || il > iu)
    throw UsageError(fmt::format("syevd_range: indices {}..{} asked of {} eigenvalues", il, iu, n));
  const char job = z == nullptr ? 'N' : 'V', by_index = 'I';
  const int order = blas_int(n, "syevd_range"), first = static_cast<int>(il + 1), last = static_cast<int>(iu + 1);
  const int lwork = blas_int((kBlockSize + 26) * n, "syevd_range"), liwork = blas_int(10 * n, "syevd_range");
  const Index count = iu - il + 1;
  Scratch scratch(context_);
  T* values = scratch.take<T>(n);  // LAPACK uses all n
  T* work = scratch.take<T>(lwork);
  int* iwork = scratch.take<int>(liwork);
  int* support = scratch.take<int>(2 * count);
  const T none = 0;
  int found = 0, info = 0;
  const BlasThreads threads(lapack_threads(n, kEigenColumns));
  Blas<T>::syevr(&job, &by_index, &kUpper, &order, a, &order, &none, &none, &first, &last, &none, &found, values, z,
                 &order, support, work, &lwork, iwork, &liwork, &info, 1, 1, 1);
  copy(count, values, w);
  return info == 0 && found != count ? 1 : checked_info(info, "syevd_range");
}

template Index CpuOps<float>::potrf(Index, float*);
template void CpuOps<float>::potrs(Index, Index, const float*, float*);
template Index CpuOps<float>::potri(Index, float*);
template Index CpuOps<float>::syevd(Index, float*, float*, bool);
template Index CpuOps<float>::syevd_range(Index, float*, Index, Index, float*, float*);
template Index CpuOps<float>::syevd_batched(Index, Index, float*, float*, bool);
template Index CpuOps<float>::syevd_workspace_bytes(Index, bool);
template Index CpuOps<double>::potrf(Index, double*);
template void CpuOps<double>::potrs(Index, Index, const double*, double*);
template Index CpuOps<double>::potri(Index, double*);
template Index CpuOps<double>::syevd(Index, double*, double*, bool);
template Index CpuOps<double>::syevd_range(Index, double*, Index, Index, double*, double*);
template Index CpuOps<double>::syevd_batched(Index, Index, double*, double*, bool);
template Index CpuOps<double>::syevd_workspace_bytes(Index, bool);

}  // namespace hso::detail
