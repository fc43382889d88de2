// SPDX-License-Identifier: Apache-2.0
//
// The emulated cuSOLVER: eigenvalues and vectors by their residuals, and what is destroyed.
#include <algorithm>
#include <cmath>

#include "libraries_support.hpp"

namespace hso::emulated::test {
namespace {

class Eigen : public Libraries {
 protected:
  template <class T>
  void eigenpairs();
  template <class T>
  cusolverStatus_t syevd(cusolverEigMode_t mode, T* a, T* w, int* info, std::int64_t batch, std::int64_t lda = kLd);
};

template <class T>
cusolverStatus_t Eigen::syevd(cusolverEigMode_t mode, T* a, T* w, int* info, std::int64_t batch, std::int64_t lda) {
  Work work;
  const auto status = [&](cusolverStatus_t query, auto run) {
    if (query != CUSOLVER_STATUS_SUCCESS) return query;
    const Array<char> device(stream_.get(), std::vector<char>(work.device));
    std::vector<char> host(work.host);
    return run(device.data(), host.data());
  };
  if (batch == 0)
    return status(cusolverDnXsyevd_bufferSize(solver_.get(), params_.get(), mode, kUpper, kN, kData<T>, a, lda,
                                              kData<T>, w, kData<T>, &work.device, &work.host),
                  [&](char* device, char* host) {
                    return cusolverDnXsyevd(solver_.get(), params_.get(), mode, kUpper, kN, kData<T>, a, lda, kData<T>,
                                            w, kData<T>, device, work.device, host, work.host, info);
                  });
  return status(cusolverDnXsyevBatched_bufferSize(solver_.get(), params_.get(), mode, kUpper, kN, kData<T>, a, lda,
                                                  kData<T>, w, kData<T>, &work.device, &work.host, batch),
                [&](char* device, char* host) {
                  return cusolverDnXsyevBatched(solver_.get(), params_.get(), mode, kUpper, kN, kData<T>, a, lda,
                                                kData<T>, w, kData<T>, device, work.device, host, work.host, info,
                                                batch);
                });
}

/// A v = w v for the first columns of v, which are orthonormal, and w ascends.
template <class T>
void expect_eigenpairs(const T* a, const T* v, const T* w, std::int64_t count) {
  for (std::int64_t p = 0; p < count; ++p) {
    EXPECT_LE(w[std::max<std::int64_t>(p - 1, 0)], w[p]);
    for (std::int64_t i = 0; i < kN; ++i) {
      double residual = -double(w[p]) * double(v[at(i, p)]);
      for (std::int64_t j = 0; j < kN; ++j) residual += double(a[at(i, j)]) * double(v[at(j, p)]);
      EXPECT_NEAR(residual, 0, 10 * tolerance<T>());
    }
    for (std::int64_t q = 0; q <= p; ++q) {
      double dot = 0;
      for (std::int64_t i = 0; i < kN; ++i) dot += double(v[at(i, p)]) * double(v[at(i, q)]);
      EXPECT_NEAR(dot, p == q, tolerance<T>());
    }
  }
}

template <class T>
void Eigen::eigenpairs() {
  const auto first = positive_matrix<T>(4), second = positive_matrix<T>(5);
  std::vector<T> both = first;
  both.insert(both.end(), second.begin(), second.end());
  for (const std::int64_t batch : {0, 1, 2}) {  // 0: the call for one matrix
    const Array<T> a(stream_.get(), both), w(stream_.get(), nans<T>(2 * kN));
    const Array<int> info(stream_.get(), {-1, -1});
    ASSERT_EQ(syevd(CUSOLVER_EIG_MODE_VECTOR, a.data(), w.data(), info.data(), batch), CUSOLVER_STATUS_SUCCESS);
    const auto values = w.values(), vectors = a.values();
    EXPECT_EQ(info.values(), (std::vector<int>{0, batch == 2 ? 0 : -1}));
    expect_eigenpairs(first.data(), vectors.data(), values.data(), kN);
    if (batch == 2) expect_eigenpairs(second.data(), vectors.data() + kElements, values.data() + kN, kN);
    EXPECT_EQ(std::isnan(values[kN]), batch != 2);
  }
}

TEST_F(Eigen, EigenvaluesAndVectorsHaveSmallResiduals) {
  eigenpairs<float>();
  eigenpairs<double>();
}

TEST_F(Eigen, WithoutVectorsTheMatrixIsDestroyed) {
  const auto a = positive_matrix<double>(6);
  const Array<double> with(stream_.get(), a), without(stream_.get(), a), w(stream_.get(), nans<double>(kN)),
      only(stream_.get(), nans<double>(kN));
  const Array<int> info(stream_.get(), {-1});
  ASSERT_EQ(syevd(CUSOLVER_EIG_MODE_VECTOR, with.data(), w.data(), info.data(), 0), CUSOLVER_STATUS_SUCCESS);
  ASSERT_EQ(syevd(CUSOLVER_EIG_MODE_NOVECTOR, without.data(), only.data(), info.data(), 0), CUSOLVER_STATUS_SUCCESS);
  for (std::size_t i = 0; i < kN; ++i) EXPECT_NEAR(w.values()[i], only.values()[i], 10 * tolerance<double>());
  EXPECT_TRUE(std::ranges::all_of(without.values(), [](double x) { return std::isnan(x); }));
}

TEST_F(Eigen, RangesCountFromOne) {
  const auto matrix = positive_matrix<double>(7);
  const Array<double> a(stream_.get(), matrix), all(stream_.get(), matrix), w(stream_.get(), nans<double>(kN)),
      w_all(stream_.get(), nans<double>(kN));
  const Array<int> info(stream_.get(), {-1});
  ASSERT_EQ(syevd(CUSOLVER_EIG_MODE_VECTOR, all.data(), w_all.data(), info.data(), 0), CUSOLVER_STATUS_SUCCESS);
  double low = 0, high = 0;
  std::int64_t found = -1;
  std::size_t device_bytes = 0, host_bytes = 0;
  const auto query = [&](std::int64_t il, std::int64_t iu) {
    return cusolverDnXsyevdx_bufferSize(solver_.get(), params_.get(), CUSOLVER_EIG_MODE_VECTOR, CUSOLVER_EIG_RANGE_I,
                                        kUpper, kN, CUDA_R_64F, a.data(), kLd, &low, &high, il, iu, &found, CUDA_R_64F,
                                        w.data(), CUDA_R_64F, &device_bytes, &host_bytes);
  };
  EXPECT_EQ(query(0, 2), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(query(3, 2), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(query(2, kN + 1), CUSOLVER_STATUS_INVALID_VALUE);
  ASSERT_EQ(query(2, 4), CUSOLVER_STATUS_SUCCESS);
  const Array<char> device(stream_.get(), std::vector<char>(device_bytes));
  std::vector<char> host(host_bytes);
  ASSERT_EQ(cusolverDnXsyevdx(solver_.get(), params_.get(), CUSOLVER_EIG_MODE_VECTOR, CUSOLVER_EIG_RANGE_I, kUpper, kN,
                              CUDA_R_64F, a.data(), kLd, &low, &high, 2, 4, &found, CUDA_R_64F, w.data(), CUDA_R_64F,
                              device.data(), device_bytes, host.data(), host_bytes, info.data()),
            CUSOLVER_STATUS_SUCCESS);
  const auto values = w.values(), vectors = a.values(), every = w_all.values();
  EXPECT_EQ(found, 3);
  EXPECT_EQ(info.values()[0], 0);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(values[i], every[i + 1]);
  EXPECT_TRUE(std::isnan(values[3]) && std::isnan(values[kN - 1]) && std::isnan(vectors[at(0, 3)]));
  expect_eigenpairs(matrix.data(), vectors.data(), values.data(), 3);
}

TEST_F(Eigen, WrongArgumentsAreRefused) {
  const Array<double> a(stream_.get(), positive_matrix<double>(8)), w(stream_.get(), nans<double>(kN));
  const Array<int> info(stream_.get(), {-1});
  const auto status = [&](double* values, std::int64_t batch, std::int64_t lda) {
    return syevd(CUSOLVER_EIG_MODE_VECTOR, a.data(), values, info.data(), batch, lda);
  };
  EXPECT_EQ(status(w.data(), 0, kN - 1), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(nullptr, 0, kLd), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(w.data(), -1, kLd), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(w.data(), 1, kN - 1), CUSOLVER_STATUS_INVALID_VALUE);
  EXPECT_EQ(cusolverDnXsyevd(solver_.get(), params_.get(), CUSOLVER_EIG_MODE_VECTOR, kUpper, kN, CUDA_R_64F, a.data(),
                             kLd, CUDA_R_64F, w.data(), CUDA_R_64F, nullptr, 0, nullptr, 0, info.data()),
            CUSOLVER_STATUS_INVALID_WORKSPACE);
}

}  // namespace
}  // namespace hso::emulated::test
