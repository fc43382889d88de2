// SPDX-License-Identifier: Apache-2.0
#include "backend/processor_kernels.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "backend/blas.hpp"

namespace hso::detail {
namespace {

/// The name of OpenBLAS's kernels for the widest instructions that this processor has; null when SSE3 is all.
const char* best_core_type() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return "SkylakeX";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
  return nullptr;
}

}  // namespace

void use_kernels_of_this_processor(char** argv) {
  constexpr const char* kVariable = "OPENBLAS_CORETYPE";
  if (std::getenv(kVariable) != nullptr || std::string_view(openblas_get_corename()) != "Prescott") return;
  const char* core_type = best_core_type();
  if (core_type == nullptr || setenv(kVariable, core_type, 0) != 0) return;
  execv("/proc/self/exe", argv);
}

}  // namespace hso::detail
