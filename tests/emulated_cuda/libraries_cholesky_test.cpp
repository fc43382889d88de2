// SPDX-License-Identifier: Apache-2.0
//
// The emulated cuSOLVER: Cholesky factors, what they leave alone, and what is refused.
#include <algorithm>
#include <cmath>

#include "libraries_support.hpp"

namespace hso::emulated::test {
namespace {

class Cholesky : public Libraries {
 protected:
  template <class T>
  Work potrf_work(std::int64_t lda = kLd) {
    Work work;
    EXPECT_EQ(cusolverDnXpotrf_bufferSize(solver_.get(), params_.get(), kUpper, kN, kData<T>, nullptr, lda, kData<T>,
                                          &work.device, &work.host),
              CUSOLVER_STATUS_SUCCESS);
    return work;
  }
  template <class T>
  cusolverStatus_t potrf(cublasFillMode_t uplo, T* a, int* info, const Work& work, std::int64_t lda = kLd) {
    const Array<char> device(stream_.get(), std::vector<char>(work.device));
    std::vector<char> host(work.host);
    const cusolverStatus_t status = cusolverDnXpotrf(solver_.get(), params_.get(), uplo, kN, kData<T>, a, lda, kData<T>,
                                                     device.data(), work.device, host.data(), work.host, info);
    if (status == CUSOLVER_STATUS_SUCCESS) {
      EXPECT_TRUE(std::ranges::all_of(device.values(), [](char byte) { return byte == char(0xFF); }));
      EXPECT_TRUE(std::ranges::all_of(host, [](char byte) { return byte == char(0xFF); }));
    }
    return status;
  }
  template <class T>
  void factors();
};

template <class T>
void Cholesky::factors() {
  for (const cublasFillMode_t uplo : {kUpper, kLower}) {
    const auto a = positive_matrix<T>(1);
    auto triangle = a;
    for (std::int64_t j = 0; j < kN; ++j)
      for (std::int64_t i = 0; i < kN; ++i)
        if (uplo == kUpper ? i > j : i < j) triangle[at(i, j)] = T(77);
    const Array<T> on_a(stream_.get(), triangle);
    const Array<int> info(stream_.get(), {-1});
    ASSERT_EQ(potrf(uplo, on_a.data(), info.data(), potrf_work<T>()), CUSOLVER_STATUS_SUCCESS);
    EXPECT_EQ(info.values()[0], 0);
    const auto f = on_a.values();
    const auto element = [&](std::int64_t i, std::int64_t j) {  // of the lower factor
      return i < j ? 0.0 : double(f[uplo == kUpper ? at(j, i) : at(i, j)]);
    };
    for (std::int64_t i = 0; i < kN; ++i)
      for (std::int64_t j = 0; j < kN; ++j) {
        double sum = 0;
        for (std::int64_t l = 0; l < kN; ++l) sum += element(i, l) * element(j, l);
        EXPECT_NEAR(sum, double(a[at(i, j)]), tolerance<T>());
        if (uplo == kUpper ? i > j : i < j) {
          EXPECT_EQ(f[at(i, j)], T(77)) << "the other triangle";
        }
      }
  }
}

TEST_F(Cholesky, FactorsAndLeavesTheOtherTriangle) {
  factors<float>();
  factors<double>();
}

TEST_F(Cholesky, ReportsTheMinorThatFailsAndPassesNan) {
  auto a = positive_matrix<double>(2);
  a[at(3, 3)] = -1;
  const Array<double> indefinite(stream_.get(), a);
  a[at(3, 3)] = std::nan("");
  const Array<double> with_nan(stream_.get(), a);
  const Array<int> info(stream_.get(), {-1});
  ASSERT_EQ(potrf(kUpper, indefinite.data(), info.data(), potrf_work<double>()), CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(info.values()[0], 4);
  ASSERT_EQ(potrf(kUpper, with_nan.data(), info.data(), potrf_work<double>()), CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(info.values()[0], 0);
  EXPECT_TRUE(std::isnan(with_nan.values()[at(kN - 1, kN - 1)]));
}

TEST_F(Cholesky, SolvesAndInvertsWithTheFactor) {
  const auto a = positive_matrix<double>(3);
  const Array<double> on_a(stream_.get(), a), rhs(stream_.get(), a);
  const Array<int> info(stream_.get(), {-1});
  ASSERT_EQ(potrf(kUpper, on_a.data(), info.data(), potrf_work<double>()), CUSOLVER_STATUS_SUCCESS);
  ASSERT_EQ(cusolverDnXpotrs(solver_.get(), params_.get(), kUpper, kN, kN, CUDA_R_64F, on_a.data(), kLd, CUDA_R_64F,
                             rhs.data(), kLd, info.data()),
            CUSOLVER_STATUS_SUCCESS);
  const auto identity = rhs.values();
  int size = 0;
  ASSERT_EQ(cusolverDnDpotri_bufferSize(solver_.get(), kUpper, kN, on_a.data(), kLd, &size), CUSOLVER_STATUS_SUCCESS);
  const Array<double> work(stream_.get(), std::vector<double>(static_cast<std::size_t>(size)));
  ASSERT_EQ(cusolverDnDpotri(solver_.get(), kUpper, kN, on_a.data(), kLd, work.data(), size - 1, info.data()),
            CUSOLVER_STATUS_INVALID_VALUE);
  ASSERT_EQ(cusolverDnDpotri(solver_.get(), kUpper, kN, on_a.data(), kLd, work.data(), size, info.data()),
            CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(info.values()[0], 0);
  EXPECT_TRUE(std::isnan(work.values()[0]));
  const auto inverse = on_a.values();
  for (std::int64_t i = 0; i < kN; ++i)
    for (std::int64_t j = 0; j < kN; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < kN; ++l) sum += a[at(i, l)] * inverse[l <= j ? at(l, j) : at(j, l)];
      EXPECT_NEAR(sum, i == j, 10 * tolerance<double>());
      EXPECT_NEAR(identity[at(i, j)], i == j, 10 * tolerance<double>());
    }
}

TEST_F(Cholesky, TheLargestInverseHasA32BitWorkspace) {
  int size = 0;
  EXPECT_EQ(cusolverDnSpotri_bufferSize(solver_.get(), kUpper, 46340, nullptr, 46340, &size), CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(cusolverDnSpotri_bufferSize(solver_.get(), kUpper, 46341, nullptr, 46341, &size),
            CUSOLVER_STATUS_INVALID_VALUE);
}

TEST_F(Cholesky, WrongArgumentsAreRefused) {
  const Array<double> a(stream_.get(), positive_matrix<double>(8)), b(stream_.get(), nans<double>(kN));
  const Array<int> info(stream_.get(), {-1});
  const Work work = potrf_work<double>();
  EXPECT_EQ(potrf(kUpper, a.data(), info.data(), work, kN - 1), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(potrf(kUpper, a.data(), info.data(), {work.device - 1, work.host}), CUSOLVER_STATUS_INVALID_WORKSPACE);
  EXPECT_EQ(potrf(kUpper, a.data(), info.data(), {work.device, work.host - 1}), CUSOLVER_STATUS_INVALID_WORKSPACE);
  EXPECT_EQ(cusolverDnXpotrs(solver_.get(), nullptr, kUpper, kN, 1, CUDA_R_64F, a.data(), kLd, CUDA_R_64F, b.data(), kN,
                             info.data()),
            CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(cusolverDnXpotrs(solver_.get(), params_.get(), kUpper, kN, 1, CUDA_R_64F, a.data(), kLd, CUDA_R_32F,
                             b.data(), kN, info.data()),
            CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(cusolverDnSetStream(nullptr, stream_.get()), CUSOLVER_STATUS_NOT_INITIALIZED);
}

TEST_F(Cholesky, OperandsThatOverlapAreAViolation) {
  const Array<double> a(stream_.get(), positive_matrix<double>(9));
  const Array<int> info(stream_.get(), {-1});
  const auto potrs = [&](double* b) {
    static_cast<void>(cusolverDnXpotrs(solver_.get(), params_.get(), kUpper, kN, 1, CUDA_R_64F, a.data(), kLd,
                                       CUDA_R_64F, b, kLd, info.data()));
  };
  EXPECT_DEATH(potrs(a.data() + kLd), "potrs: A and B overlap");
  EXPECT_DEATH(potrs(a.data() + kElements - 2), "potrs: B");
}

TEST_F(Cholesky, CapturesAreRefused) {
  const Array<double> a(stream_.get(), positive_matrix<double>(10)), b(stream_.get(), positive_matrix<double>(10));
  const Array<int> info(stream_.get(), {-1});
  ASSERT_EQ(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cusolverDnXpotrs(solver_.get(), params_.get(), kUpper, kN, kN, CUDA_R_64F, a.data(), kLd, CUDA_R_64F,
                             b.data(), kLd, info.data()),
            CUSOLVER_STATUS_INTERNAL_ERROR);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_.get(), &graph), cudaErrorStreamCaptureInvalidated);
  static_cast<void>(cudaGetLastError());
  EXPECT_EQ(info.values()[0], -1);
}

TEST_F(Cholesky, CanBeToldToFail) {
  std::size_t device = 0, host = 0;
  fail(Site::library, 1);
  EXPECT_NE(cusolverDnXpotrf_bufferSize(solver_.get(), params_.get(), kUpper, kN, CUDA_R_64F, nullptr, kLd, CUDA_R_64F,
                                        &device, &host),
            CUSOLVER_STATUS_SUCCESS);
  EXPECT_TRUE(has_failed());
  recover();
  EXPECT_EQ(device, 0u);
}

}  // namespace
}  // namespace hso::emulated::test
