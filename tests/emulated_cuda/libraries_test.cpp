// SPDX-License-Identifier: Apache-2.0
//
// The emulated cuBLAS: products against loops, and what it refuses.
#include <cmath>

#include "libraries_support.hpp"

namespace hso::emulated::test {
namespace {

using Products = Libraries;

struct Shape {
  bool trans_a, trans_b;
  std::int64_t m, n, k, lda, stride_a, ldb, stride_b, ldc, stride_c, batch;
};
const Shape kShapes[] = {
    {false, false, 5, 3, 7, 5, 0, 7, 0, 5, 0, 1},  {true, false, 5, 3, 7, 9, 0, 8, 0, 6, 0, 1},
    {false, true, 1, 4, 2, 3, 0, 4, 0, 1, 0, 1},   {true, true, 4, 4, 1, 1, 0, 4, 0, 7, 0, 1},
    {false, false, 2, 3, 4, 2, 8, 4, 0, 2, 6, 3},   // B is the same in each
    {true, false, 2, 3, 4, 5, 12, 4, 12, 8, 2, 4},  // each C is two rows of a tall matrix
    {false, true, 3, 2, 2, 3, 6, 9, 0, 3, 10, 2},
};
cublasOperation_t operation(bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

cublasStatus_t call_gemm(cublasHandle_t handle, const Shape& s, const float& alpha, const float* a, const float* b,
                         const float& beta, float* c) {
  return cublasSgemmStridedBatched_64(handle, operation(s.trans_a), operation(s.trans_b), s.m, s.n, s.k, &alpha, a,
                                      s.lda, s.stride_a, b, s.ldb, s.stride_b, &beta, c, s.ldc, s.stride_c, s.batch);
}
cublasStatus_t call_gemm(cublasHandle_t handle, const Shape& s, const double& alpha, const double* a, const double* b,
                         const double& beta, double* c) {
  return cublasDgemmStridedBatched_64(handle, operation(s.trans_a), operation(s.trans_b), s.m, s.n, s.k, &alpha, a,
                                      s.lda, s.stride_a, b, s.ldb, s.stride_b, &beta, c, s.ldc, s.stride_c, s.batch);
}

std::size_t extent(std::int64_t columns, std::int64_t ld, std::int64_t stride, std::int64_t batch) {
  return static_cast<std::size_t>(columns * ld + (batch - 1) * stride);
}

template <class T>
void expect_product(const Shape& s, T alpha, T beta, const std::vector<T>& a, const std::vector<T>& b,
                    const std::vector<T>& before, const std::vector<T>& after) {
  std::vector<bool> is_result(after.size());
  for (std::int64_t i = 0; i < s.batch * s.m * s.n; ++i) {
    const std::int64_t row = i % s.m, column = i / s.m % s.n, which = i / (s.m * s.n);
    const auto at = static_cast<std::size_t>(row + column * s.ldc + which * s.stride_c);
    double sum = 0, size = 0;
    for (std::int64_t l = 0; l < s.k; ++l) {
      const auto at_a = which * s.stride_a + (s.trans_a ? l + row * s.lda : row + l * s.lda),
                 at_b = which * s.stride_b + (s.trans_b ? column + l * s.ldb : l + column * s.ldb);
      const double term = double(a[static_cast<std::size_t>(at_a)]) * double(b[static_cast<std::size_t>(at_b)]);
      sum += term;
      size += std::abs(term);
    }
    const double kept = beta == T(0) ? 0 : double(beta) * double(before[at]);
    const double bound =
        double(s.k + 3) * double(std::numeric_limits<T>::epsilon()) * (std::abs(double(alpha)) * size + std::abs(kept));
    ASSERT_NEAR(after[at], double(alpha) * sum + kept, bound) << "element " << i;
    is_result[at] = true;
  }
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (is_result[i]) continue;
    ASSERT_TRUE(after[i] == before[i] || (std::isnan(after[i]) && std::isnan(before[i]))) << "beside the result";
  }
}

template <class T>
void products_agree_with_loops(cublasHandle_t handle, cudaStream_t stream) {
  for (const Shape& s : kShapes)
    for (const T beta : {T(0), T(1), T(-0.5)}) {
      const auto a = random_values<T>(extent(s.trans_a ? s.m : s.k, s.lda, s.stride_a, s.batch), 1);
      const auto b = random_values<T>(extent(s.trans_b ? s.k : s.n, s.ldb, s.stride_b, s.batch), 2);
      const std::size_t size = extent(s.n, s.ldc, s.stride_c, s.batch);
      const auto c = beta == T(0) ? nans<T>(size) : random_values<T>(size, 3);
      const Array<T> on_a(stream, a), on_b(stream, b), on_c(stream, c);
      T alpha = T(1.5);
      ASSERT_EQ(call_gemm(handle, s, alpha, on_a.data(), on_b.data(), beta, on_c.data()), CUBLAS_STATUS_SUCCESS);
      alpha = 0;  // was read by the call
      SCOPED_TRACE(&s - kShapes);
      expect_product(s, T(1.5), beta, a, b, c, on_c.values());
    }
}

TEST_F(Products, AgreeWithLoops) {
  products_agree_with_loops<float>(blas_.get(), stream_.get());
  products_agree_with_loops<double>(blas_.get(), stream_.get());
}

TEST_F(Products, SingleOnesAreBatchesOfOne) {
  reset_ledger();
  const auto a = random_values<double>(6, 4), b = random_values<double>(6, 5);
  const Array<double> on_a(stream_.get(), a), on_b(stream_.get(), b), on_c(stream_.get(), nans<double>(4));
  const double one = 1, zero = 0;
  ASSERT_EQ(cublasDgemm_64(blas_.get(), CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, on_a.data(), 2, on_b.data(), 3, &zero,
                           on_c.data(), 2),
            CUBLAS_STATUS_SUCCESS);
  expect_product<double>({false, false, 2, 2, 3, 2, 0, 3, 0, 2, 0, 1}, 1, 0, a, b, nans<double>(4), on_c.values());
  EXPECT_EQ(ledger().library_calls, 1);
  EXPECT_EQ(ledger().names.at("dgemm"), 1);
}

TEST_F(Products, WrongArgumentsAreRefused) {
  const Array<float> x(stream_.get(), std::vector<float>(64, 1));
  float* c = x.data() + 32;
  const Shape good{false, false, 2, 2, 2, 2, 4, 2, 4, 2, 4, 2};
  const auto status = [&](auto change) {
    Shape s = good;
    change(s);
    return call_gemm(blas_.get(), s, 1.0f, x.data(), x.data(), 0.0f, c);
  };
  EXPECT_EQ(status([](Shape&) {}), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(status([](Shape& s) { s.m = -1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Shape& s) { s.k = -1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Shape& s) { s.batch = -1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Shape& s) { s.lda = 1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Shape& s) { s.ldb = 1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Shape& s) { s.ldc = 1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Shape& s) { s.m = 0, s.lda = 0; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(call_gemm(nullptr, good, 1.0f, x.data(), x.data(), 0.0f, c), CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(cublasSetWorkspace(blas_.get(), reinterpret_cast<char*>(c) + 4, 16), CUBLAS_STATUS_INVALID_VALUE);
}

TEST_F(Products, MemoryThatIsNotTheirsIsAViolation) {
  const Array<float> x(stream_.get(), std::vector<float>(64, 1));
  float* c = x.data() + 32;
  const auto gemm = [&](const Shape& s, const float* a, float* result) {
    static_cast<void>(call_gemm(blas_.get(), s, 1.0f, a, x.data(), 0.0f, result));
  };
  const Shape one{false, false, 2, 2, 2, 2, 0, 2, 0, 2, 0, 1};
  EXPECT_DEATH(gemm(one, x.data(), x.data() + 61), "sgemm_batched: C");
  EXPECT_DEATH(gemm(one, x.data() + 61, c), "sgemm_batched: A");
  EXPECT_DEATH(gemm(one, c, c + 3), "A and C overlap");
  EXPECT_DEATH(gemm({false, false, 2, 2, 2, 2, 0, 2, 0, 2, 3, 3}, x.data(), c), "matrices of C overlap");
  EXPECT_DEATH(gemm({false, false, 2, 2, 2, 2, 0, 2, 0, 2, 0, 2}, x.data(), c), "matrices of C overlap");
  const Shape interleaved{false, false, 2, 2, 2, 4, 0, 2, 0, 4, 0, 1};  // A and C each two rows of a matrix of four
  EXPECT_EQ(call_gemm(blas_.get(), interleaved, 1.0f, c, x.data(), 0.0f, c + 2), CUBLAS_STATUS_SUCCESS);
  EXPECT_DEATH(gemm(interleaved, c, c + 1), "A and C overlap");
}

TEST_F(Products, GraphsReplayThemAndNeedAWorkspace) {
  const Array<double> x(stream_.get(), {2}), c(stream_.get(), {1}), work(stream_.get(), std::vector<double>(64, 0));
  const auto capture = [&] {
    EXPECT_EQ(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeRelaxed), cudaSuccess);
    const double one = 1;
    return cublasDgemm_64(blas_.get(), CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x.data(), 1, x.data(), 1, &one,
                          c.data(), 1);
  };
  EXPECT_DEATH(static_cast<void>(capture()), "captured without a workspace");
  ASSERT_EQ(cublasSetWorkspace(blas_.get(), work.data(), 64 * sizeof(double)), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cublasSetStream(blas_.get(), stream_.get()), CUBLAS_STATUS_SUCCESS);
  EXPECT_DEATH(static_cast<void>(capture()), "captured without a workspace");  // setting the stream reset it
  ASSERT_EQ(cublasSetWorkspace(blas_.get(), work.data(), 64 * sizeof(double)), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(capture(), CUBLAS_STATUS_SUCCESS);
  detail::GraphHandle graph;
  detail::GraphExecHandle executable;
  ASSERT_EQ(cudaStreamEndCapture(stream_.get(), graph.fill()), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(executable.fill(), graph.get(), 0), cudaSuccess);
  EXPECT_EQ(c.values()[0], 1);
  reset_ledger();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaGraphLaunch(executable.get(), stream_.get()), cudaSuccess);
  EXPECT_EQ(c.values()[0], 13);
  EXPECT_EQ(ledger().flops, 6);
  EXPECT_EQ(ledger().library_bytes, 3 * 3 * 8);
  EXPECT_EQ(ledger().library_calls, 0);
  EXPECT_EQ(ledger().names.at("dgemm"), 3);
  EXPECT_TRUE(std::isnan(work.values()[0]));
}

TEST_F(Products, RunInTheOrderOfTheStream) {
  const Array<double> x(stream_.get(), {2}), c(stream_.get(), {1});
  const double one = 1, zero = 0, five = 5;
  const auto square = [&](double beta) {
    return cublasDgemm_64(blas_.get(), CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x.data(), 1, x.data(), 1, &beta,
                          c.data(), 1);
  };
  ASSERT_EQ(square(zero), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cudaMemcpyAsync(x.data(), &five, sizeof(five), cudaMemcpyHostToDevice, stream_.get()), cudaSuccess);
  ASSERT_EQ(square(one), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.values()[0], 4 + 25);
}

TEST_F(Products, CanBeToldToFail) {
  const Array<double> x(stream_.get(), {2}), c(stream_.get(), {1});
  const double one = 1, zero = 0;
  const auto gemm = [&] {
    return cublasDgemm_64(blas_.get(), CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x.data(), 1, x.data(), 1, &zero,
                          c.data(), 1);
  };
  fail(Site::library, 2);
  EXPECT_EQ(gemm(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaMemcpyAsync(c.data(), x.data(), 8, cudaMemcpyDeviceToDevice, stream_.get()), cudaSuccess);
  EXPECT_NE(gemm(), CUBLAS_STATUS_SUCCESS);
  EXPECT_TRUE(has_failed());
  recover();
  EXPECT_EQ(c.values()[0], 2);
  EXPECT_EQ(gemm(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.values()[0], 4);
}

TEST_F(Products, HandlesAreDestroyedOnce) {
  cublasHandle_t handle = nullptr;
  const std::int64_t before = living().handles;
  ASSERT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(living().handles, before + 1);
  EXPECT_EQ(cublasDestroy(handle), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(living().handles, before);
  EXPECT_DEATH(static_cast<void>(cublasDestroy(handle)), "cublasDestroy: the handle was destroyed");
  EXPECT_DEATH(static_cast<void>(cublasSetStream(handle, stream_.get())), "cublasSetStream: the handle was destroyed");
}

TEST(ProductStatuses, HaveTheirNames) {
  EXPECT_STREQ(cublasGetStatusName(CUBLAS_STATUS_INVALID_VALUE), "CUBLAS_STATUS_INVALID_VALUE");
  EXPECT_STREQ(cublasGetStatusString(CUBLAS_STATUS_ALLOC_FAILED), "the resource allocation failed");
  int major = 0;
  EXPECT_EQ(cublasGetProperty(MAJOR_VERSION, &major), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(major, CUBLAS_VERSION / 10000);
  EXPECT_EQ(cublasGetProperty(MAJOR_VERSION, nullptr), CUBLAS_STATUS_INVALID_VALUE);
}

}  // namespace
}  // namespace hso::emulated::test
