// SPDX-License-Identifier: Apache-2.0
//
// HSO_HD marks functions that the host and the device compile.
#pragma once

/// Marks a function that runs on the host and, when nvcc compiles it, on the device. The host inlines it whatever its
/// size: a loop that calls one for every element is not vectorised.
#ifdef __CUDACC__
#define HSO_HD __host__ __device__
#else
#define HSO_HD [[gnu::always_inline]]
#endif
