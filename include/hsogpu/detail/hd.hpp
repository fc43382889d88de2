// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Marks a function that runs on the host and, when nvcc compiles it, on the device.
#ifdef __CUDACC__
#define HSO_HD __host__ __device__
#else
#define HSO_HD
#endif
