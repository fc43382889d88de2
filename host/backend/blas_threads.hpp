// SPDX-License-Identifier: Apache-2.0
//
// The number of threads that OpenBLAS uses, set for a while.
#pragma once

#include <omp.h>

namespace hso::detail {

/// OpenBLAS (its OpenMP build) called by this thread uses `threads` threads while this lives. What is set is OpenMP's
/// number for the calling thread alone, so other threads and the program around us keep theirs.
class BlasThreads {
 public:
  explicit BlasThreads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~BlasThreads() { omp_set_num_threads(before_); }
  BlasThreads(const BlasThreads&) = delete;
  BlasThreads& operator=(const BlasThreads&) = delete;

 private:
  int before_;
};

}  // namespace hso::detail
