// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the emulated cuBLAS and cuSOLVER need: a stream with the handles of both, and arrays in device
// memory.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "emulated.hpp"
#include "handles.hpp"

namespace hso::emulated::test {

class Libraries : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaStreamCreateWithFlags(stream_.fill(), cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cublasCreate(blas_.fill()), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasSetStream(blas_.get(), stream_.get()), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cusolverDnCreate(solver_.fill()), CUSOLVER_STATUS_SUCCESS);
    ASSERT_EQ(cusolverDnSetStream(solver_.get(), stream_.get()), CUSOLVER_STATUS_SUCCESS);
    ASSERT_EQ(cusolverDnCreateParams(params_.fill()), CUSOLVER_STATUS_SUCCESS);
  }

  detail::StreamHandle stream_;
  detail::BlasHandle blas_;
  detail::SolverHandle solver_;
  detail::SolverParams params_;
};

/// Values in device memory, copied in the order of the stream.
template <class T>
class Array {
 public:
  Array(cudaStream_t stream, const std::vector<T>& values) : stream_(stream), count_(values.size()) {
    EXPECT_EQ(cudaMalloc(memory_.fill(), bytes()), cudaSuccess);
    EXPECT_EQ(cudaMemcpyAsync(data(), values.data(), bytes(), cudaMemcpyHostToDevice, stream_), cudaSuccess);
  }
  ~Array() { static_cast<void>(cudaStreamSynchronize(stream_)); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() const { return static_cast<T*>(memory_.get()); }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    EXPECT_EQ(cudaMemcpyAsync(result.data(), data(), bytes(), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return result;
  }

 private:
  std::size_t bytes() const { return count_ * sizeof(T); }
  cudaStream_t stream_;
  std::size_t count_;
  detail::DeviceBytes memory_;
};

template <class T>
std::vector<T> random_values(std::size_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::vector<T> values(count);
  for (T& value : values) value = uniform(bits);
  return values;
}

template <class T>
std::vector<T> nans(std::size_t count) {
  return std::vector<T>(count, std::numeric_limits<T>::quiet_NaN());
}

// ---- symmetric matrices for the solver
inline constexpr cublasFillMode_t kUpper = CUBLAS_FILL_MODE_UPPER, kLower = CUBLAS_FILL_MODE_LOWER;
template <class T>
inline constexpr cudaDataType kData = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_64F;
inline constexpr std::int64_t kN = 6, kLd = 8;  // of the matrices here
inline constexpr std::size_t kElements = kN * kLd;

inline std::size_t at(std::int64_t i, std::int64_t j) { return static_cast<std::size_t>(i + j * kLd); }

/// Symmetric, and positive definite: G'G + 1. What lies below the rows is NaN.
template <class T>
std::vector<T> positive_matrix(unsigned seed) {
  const auto g = random_values<T>(kN * kN, seed);
  std::vector<T> a = nans<T>(kElements);
  for (std::int64_t i = 0; i < kN; ++i)
    for (std::int64_t j = 0; j < kN; ++j) {
      a[at(i, j)] = i == j ? T(1) : T(0);
      for (std::int64_t l = 0; l < kN; ++l)
        a[at(i, j)] += g[static_cast<std::size_t>(l + i * kN)] * g[static_cast<std::size_t>(l + j * kN)];
    }
  return a;
}

template <class T>
double tolerance() {
  return 100 * double(std::numeric_limits<T>::epsilon());  // elements are below 10, sums of six
}

struct Work {
  std::size_t device = 0, host = 0;
};

}  // namespace hso::emulated::test
