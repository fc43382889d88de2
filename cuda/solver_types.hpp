// SPDX-License-Identifier: Apache-2.0
//
// cuSOLVER's names for our types and for our way of storing a triangle.
#pragma once

#include <type_traits>

#include "cuda_libraries.hpp"

namespace hso::detail {

/// The row-major lower triangle, as cuSOLVER sees it.
constexpr cublasFillMode_t kUplo = CUBLAS_FILL_MODE_UPPER;

template <class T>
constexpr cudaDataType kData = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_64F;

constexpr cusolverEigMode_t eigen_mode(bool vectors) {
  return vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
}

inline cusolverStatus_t potri_size(cusolverDnHandle_t h, int n, float* a, int* size) {
  return cusolverDnSpotri_bufferSize(h, kUplo, n, a, n, size);
}
inline cusolverStatus_t potri_size(cusolverDnHandle_t h, int n, double* a, int* size) {
  return cusolverDnDpotri_bufferSize(h, kUplo, n, a, n, size);
}
inline cusolverStatus_t potri_run(cusolverDnHandle_t h, int n, float* a, float* work, int size, int* info) {
  return cusolverDnSpotri(h, kUplo, n, a, n, work, size, info);
}
inline cusolverStatus_t potri_run(cusolverDnHandle_t h, int n, double* a, double* work, int size, int* info) {
  return cusolverDnDpotri(h, kUplo, n, a, n, work, size, info);
}

}  // namespace hso::detail
