// SPDX-License-Identifier: Apache-2.0
//
// The verbs of a backend. Two classes implement them, CpuOps<T> (host/backend) and CudaOps<T> (cuda/).
// All pointers are device memory of the context unless the name says host. All matrices are row-major.
// Calls are queued on the context's stream; those that return a number or fill a host pointer wait for it.
#pragma once

#include "hsogpu/core/context.hpp"
#include "hsogpu/detail/element_ops.hpp"
#include "hsogpu/detail/queued_factorisations.hpp"

namespace hso::detail {

/// C[m][n] = alpha op(A)[m][k] op(B)[k][n] + beta C, for `batch` problems at the given strides (0 = shared operand).
/// op(A) = A' when trans_a; the leading dimensions are those of the stored matrices. beta = 0 never reads C.
template <class T>
struct GemmArgs {
  Index m, n, k;
  const T* a;
  Index lda;
  bool trans_a;
  const T* b;
  Index ldb;
  bool trans_b;
  T* c;
  Index ldc;
  T alpha = 1;
  T beta = 0;
  Index batch = 1;
  Index stride_a = 0, stride_b = 0, stride_c = 0;
};

/// y[lane][j] = beta y + sum_i x[lane][i][j] (columns) or y[lane][i] = beta y + sum_j x[lane][i][j] (rows);
/// x is [lanes][rows][cols], contiguous inside a lane. Fixed summation order: same bits every time.
template <class T>
struct ReduceArgs {
  Index lanes, rows, cols;
  const T* x;
  Index x_stride;
  T* y;
  Index y_stride;
  T beta;
};

template <class T>
class Ops {
 public:
  virtual ~Ops() = default;
  virtual Context& context() = 0;

  /// op(o, i) for o in [0, outer), i in [0, inner); the inner index is the contiguous one. Functors whose rows have
  /// coordinates get those of row o. InputError for more than 2^31 rows a lane of such a functor on a CUDA device.
  virtual void for_each(Index outer, Index inner, const ElementOp<T>& op) = 0;
  /// The recurrence over all lanes, and squares[k] = sum_i y_k[i]^2 of what it wrote, accumulated in double, in device
  /// memory and queued like dots_on_device.
  virtual void recur(Index lanes, Index n, const LaneRecurrence<T>& op, double* squares) = 0;
  virtual void gemm(const GemmArgs<T>& args) = 0;
  virtual void sum_rows(const ReduceArgs<T>& args) = 0;     ///< over rows: y has cols entries
  virtual void sum_columns(const ReduceArgs<T>& args) = 0;  ///< over columns: y has rows entries
  /// host[k] = sum_i x_k[i] y_k[i], accumulated in double.
  virtual void dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) = 0;
  /// The same into device memory: queued, nobody waits, part of recorded sequences.
  virtual void dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                              double* results) = 0;
  /// gram[i][j] = sum_l x_i[l] x_j[l] for j <= i < rows, as dots_on_device; what lies above the diagonal is
  /// unspecified.
  virtual void gram_on_device(Index rows, Index n, const T* x, Index x_stride, double* gram) {
    for (Index i = 0; i < rows; ++i) dots_on_device(i + 1, n, x, x_stride, x + i * x_stride, 0, gram + i * rows);
  }
  /// results[0] = sum_i x_i^2, accumulated in double, results[1] = max |x_i|, in device memory and queued like
  /// dots_on_device. Either is not finite when any x_i is not; the sum also where squares overflow a double.
  virtual void norms_on_device(Index n, const T* x, double* results) = 0;
  /// max |x_i|; not finite when any x_i is not finite.
  virtual double max_abs(Index n, const T* x) = 0;
  /// at[k] (device memory) = the first i with the smallest x_k[i], -1 where none is below infinity.
  virtual void argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) = 0;
  /// order (device memory) = the places 0..n-1 of x by ascending x: equal numbers by place, -0 equal to +0, NaN of
  /// either sign last. This and the next two are queued, nobody waits, and the answers are the same on every backend.
  virtual void sort(Index n, const T* x, Index* order) = 0;
  /// order (device memory) = the permutation of 0..n-1 that sorts permutation_key(seed, i), equal keys by i.
  virtual void permute(Index n, std::uint64_t seed, Index* order) = 0;
  /// at[0], ..., at[*count - 1] = the places of flags that are not 0, ascending; all in device memory.
  virtual void select(Index n, const std::uint8_t* flags, Index* at, Index* count) = 0;
  /// Bytes of scratch that sort and permute take, at most.
  virtual Index sort_workspace_bytes(Index n) = 0;
  virtual void copy(Index n, const T* from, T* to) = 0;

  // Dense linear algebra on symmetric [n][n] matrices; both triangles are stored, the lower one (row-major) is read.
  /// A = L L', L in the lower triangle (row-major), the rest is unspecified. Returns 0, or the order of the leading
  /// minor that is not positive.
  virtual Index potrf(Index n, T* a) = 0;
  /// B[nrhs][n] (one right-hand side a row) := A^-1 B from potrf's factor.
  virtual void potrs(Index n, Index nrhs, const T* factor, T* b) = 0;
  /// factor := A^-1, both triangles. Returns 0, or the index of a zero pivot.
  virtual Index potri(Index n, T* factor) = 0;
  /// Eigenvalues ascending into w[n] (device); with `vectors`, row i of A becomes the unit eigenvector of w[i],
  /// without, A is destroyed. Returns 0, or LAPACK's info > 0 when the iteration failed.
  virtual Index syevd(Index n, T* a, T* w, bool vectors) = 0;
  /// The same for eigenvalues il..iu only (0-based, inclusive); rows 0..iu-il of `z` ([iu-il+1][n], may be null) get
  /// the vectors. Destroys A.
  virtual Index syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) = 0;
  /// `batch` matrices [batch][n][n], values into w[batch][n], vectors as in syevd.
  virtual Index syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) = 0;
  /// The largest n that syevd and syevd_range of this library are trusted with.
  virtual Index syevd_limit(bool vectors) = 0;
  /// Device bytes that syevd needs beside A and w.
  virtual Index syevd_workspace_bytes(Index n, bool vectors) = 0;
  /// Device bytes that syevd_range needs beside A, w and z.
  virtual Index syevd_range_workspace_bytes(Index /*n*/, Index /*il*/, Index /*iu*/, bool /*vectors*/) { return 0; }

  /// Factorisations whose outcome the host learns later; null where results are there at once.
  virtual QueuedFactorisations<T>* queued_factorisations() { return nullptr; }

  /// Bytes of scratch that one op should use at most (im2col chunks): cache-sized on a CPU, large on a GPU.
  virtual Index chunk_bytes() const = 0;

  double dot(Index n, const T* x, const T* y) {
    double result = 0;
    dots(1, n, x, n, y, n, &result);
    return result;
  }
  double nrm2(Index n, const T* x);

  // Shorthands over for_each.
  void fill(Index n, T value, T* x) { for_each(1, n, Fill<T>{x, n, value}); }
  /// y = a x + b y; b = 0 never reads y.
  void axpby(Index n, T a, const T* x, T b, T* y) { for_each(1, n, Axpby<T>{a, x, n, b, y, n}); }
};

/// The explicit instantiations' shared body.
template <class T>
double Ops<T>::nrm2(Index n, const T* x) {
  return __builtin_sqrt(dot(n, x, x));
}

}  // namespace hso::detail
