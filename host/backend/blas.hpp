// SPDX-License-Identifier: Apache-2.0
//
// The few prototypes of OpenBLAS that the CPU backend calls, and overloads by type. Fortran strings carry hidden
// lengths at the end of the argument list.
#pragma once

#include <cstddef>

extern "C" {
char* openblas_get_config(void);
char* openblas_get_corename(void);

void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                 int ldb, float beta, float* c, int ldc);
void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double* a, int lda,
                 const double* b, int ldb, double beta, double* c, int ldc);
void cblas_sgemv(int order, int ta, int m, int n, float alpha, const float* a, int lda, const float* x, int incx,
                 float beta, float* y, int incy);
void cblas_dgemv(int order, int ta, int m, int n, double alpha, const double* a, int lda, const double* x, int incx,
                 double beta, double* y, int incy);

void spotrf_(const char* uplo, const int* n, float* a, const int* lda, int* info, std::size_t);
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info, std::size_t);
void spotrs_(const char* uplo, const int* n, const int* nrhs, const float* a, const int* lda, float* b, const int* ldb,
             int* info, std::size_t);
void dpotrs_(const char* uplo, const int* n, const int* nrhs, const double* a, const int* lda, double* b,
             const int* ldb, int* info, std::size_t);
void spotri_(const char* uplo, const int* n, float* a, const int* lda, int* info, std::size_t);
void dpotri_(const char* uplo, const int* n, double* a, const int* lda, int* info, std::size_t);
void ssyevd_(const char* jobz, const char* uplo, const int* n, float* a, const int* lda, float* w, float* work,
             const int* lwork, int* iwork, const int* liwork, int* info, std::size_t, std::size_t);
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w, double* work,
             const int* lwork, int* iwork, const int* liwork, int* info, std::size_t, std::size_t);
void dstevd_(const char* jobz, const int* n, double* d, double* e, double* z, const int* ldz, double* work,
             const int* lwork, int* iwork, const int* liwork, int* info, std::size_t);
void ssyevr_(const char* jobz, const char* range, const char* uplo, const int* n, float* a, const int* lda,
             const float* vl, const float* vu, const int* il, const int* iu, const float* abstol, int* m, float* w,
             float* z, const int* ldz, int* isuppz, float* work, const int* lwork, int* iwork, const int* liwork,
             int* info, std::size_t, std::size_t, std::size_t);
void dsyevr_(const char* jobz, const char* range, const char* uplo, const int* n, double* a, const int* lda,
             const double* vl, const double* vu, const int* il, const int* iu, const double* abstol, int* m, double* w,
             double* z, const int* ldz, int* isuppz, double* work, const int* lwork, int* iwork, const int* liwork,
             int* info, std::size_t, std::size_t, std::size_t);
}

namespace hso::detail {

inline constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;  ///< of CBLAS

/// The entry points of one element type.
template <class T>
struct Blas;

template <>
struct Blas<float> {
  static constexpr auto gemm = &cblas_sgemm;
  static constexpr auto gemv = &cblas_sgemv;
  static constexpr auto potrf = &spotrf_;
  static constexpr auto potrs = &spotrs_;
  static constexpr auto potri = &spotri_;
  static constexpr auto syevd = &ssyevd_;
  static constexpr auto syevr = &ssyevr_;
};

template <>
struct Blas<double> {
  static constexpr auto gemm = &cblas_dgemm;
  static constexpr auto gemv = &cblas_dgemv;
  static constexpr auto potrf = &dpotrf_;
  static constexpr auto potrs = &dpotrs_;
  static constexpr auto potri = &dpotri_;
  static constexpr auto syevd = &dsyevd_;
  static constexpr auto syevr = &dsyevr_;
};

/// `value` as a BLAS integer; NumericalError when it needs more than 32 bits.
int blas_int(long long value, const char* what);

}  // namespace hso::detail
