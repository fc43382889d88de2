// SPDX-License-Identifier: Apache-2.0
#include "linalg/host_eigen.hpp"

#include <fmt/format.h>

#include "backend/blas.hpp"
#include "backend/blas_threads.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"

namespace hso::detail {

HostEigen host_eigh(std::vector<double> a, Index m) {
  HostEigen out;
  if (m == 0) return out;
  const int order = blas_int(m, "host_eigh"), lwork = blas_int(1 + 6 * m + 2 * m * m, "host_eigh"),
            liwork = blas_int(3 + 5 * m, "host_eigh");
  const char job = 'V', triangle = 'U';  // column-major: our lower triangle
  out.values.resize(static_cast<std::size_t>(m));
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  int info = 0;
  const BlockingWork blocking(m);
  const BlasThreads one(1);
  Blas<double>::syevd(&job, &triangle, &order, a.data(), &order, out.values.data(), work.data(), &lwork, iwork.data(),
                      &liwork, &info, 1, 1);
  if (info != 0) throw NumericalError(fmt::format("host_eigh: LAPACK's dsyevd of order {} returned {}", m, info));
  out.vectors = std::move(a);
  return out;
}

std::vector<double> host_eigenvalues(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal) {
  std::vector<double> values = diagonal, off = off_diagonal;
  const auto m = static_cast<Index>(values.size());
  if (m == 0) return values;
  const int order = blas_int(m, "host_eigenvalues"), one = 1;
  const char job = 'N';
  off.resize(static_cast<std::size_t>(m));
  double work = 0, no_vectors = 0;
  int iwork = 0, info = 0;
  dstevd_(&job, &order, values.data(), off.data(), &no_vectors, &one, &work, &one, &iwork, &one, &info, 1);
  if (info != 0)
    throw NumericalError(fmt::format("host_eigenvalues: LAPACK's dstevd of order {} returned {}", m, info));
  return values;
}

HostEigen host_eigh_tridiagonal(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal) {
  HostEigen out{diagonal, {}};
  const auto m = static_cast<Index>(diagonal.size());
  if (m == 0) return out;
  const int order = blas_int(m, "host_eigh_tridiagonal"), lwork = blas_int(1 + 4 * m + m * m, "host_eigh_tridiagonal"),
            liwork = blas_int(3 + 5 * m, "host_eigh_tridiagonal");
  const char job = 'V';
  std::vector<double> off = off_diagonal, work(static_cast<std::size_t>(lwork));
  off.resize(static_cast<std::size_t>(m));
  out.vectors.resize(static_cast<std::size_t>(m * m));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  int info = 0;
  const BlasThreads one(1);
  dstevd_(&job, &order, out.values.data(), off.data(), out.vectors.data(), &order, work.data(), &lwork, iwork.data(),
          &liwork, &info, 1);
  if (info != 0)
    throw NumericalError(fmt::format("host_eigh_tridiagonal: LAPACK's dstevd of order {} returned {}", m, info));
  return out;
}

}  // namespace hso::detail
