// SPDX-License-Identifier: Apache-2.0
//
// cuBLAS and cuSOLVER, opened with the first CUDA context: what runs on the CPU does not wait until they are loaded.
// The functions that cuda/ calls are pointers of the same names in hso::detail, with the types of the toolkit's
// headers; a call in that namespace finds the pointer. A function that the lists lack is the toolkit's own, which is
// linked nowhere: `hso` does not link then. On the emulated device a header of this name gives the functions
// themselves.
#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>

#include <string>

#define HSO_CUBLAS_FUNCTIONS(F)    \
  F(cublasCreate);                 \
  F(cublasDestroy);                \
  F(cublasGetProperty);            \
  F(cublasGetStatusName);          \
  F(cublasGetStatusString);        \
  F(cublasSetStream);              \
  F(cublasSetWorkspace);           \
  F(cublasSetMathMode);            \
  F(cublasSetAtomicsMode);         \
  F(cublasSgemm_64);               \
  F(cublasDgemm_64);               \
  F(cublasSgemmStridedBatched_64); \
  F(cublasDgemmStridedBatched_64);

#if CUSOLVER_VERSION >= 11701  // CUDA 12.6 update 2
#define HSO_CUSOLVER_BATCHED_FUNCTIONS(F) \
  F(cusolverDnXsyevBatched_bufferSize);   \
  F(cusolverDnXsyevBatched);
#else
#define HSO_CUSOLVER_BATCHED_FUNCTIONS(F)
#endif
#define HSO_CUSOLVER_FUNCTIONS(F)    \
  F(cusolverGetProperty);            \
  F(cusolverDnCreate);               \
  F(cusolverDnDestroy);              \
  F(cusolverDnSetStream);            \
  F(cusolverDnSetDeterministicMode); \
  F(cusolverDnCreateParams);         \
  F(cusolverDnDestroyParams);        \
  F(cusolverDnXpotrf_bufferSize);    \
  F(cusolverDnXpotrf);               \
  F(cusolverDnXpotrs);               \
  F(cusolverDnSpotri_bufferSize);    \
  F(cusolverDnSpotri);               \
  F(cusolverDnDpotri_bufferSize);    \
  F(cusolverDnDpotri);               \
  F(cusolverDnXsyevd_bufferSize);    \
  F(cusolverDnXsyevd);               \
  F(cusolverDnXsyevdx_bufferSize);   \
  F(cusolverDnXsyevdx);              \
  HSO_CUSOLVER_BATCHED_FUNCTIONS(F)

namespace hso::detail {

#define HSO_POINTER(name) inline decltype(&::name) name = nullptr
HSO_CUBLAS_FUNCTIONS(HSO_POINTER)
HSO_CUSOLVER_FUNCTIONS(HSO_POINTER)
#undef HSO_POINTER

/// Sets the pointers, the first time. DeviceError when a library or one of its functions is not there.
void open_cuda_libraries();
bool cuda_libraries_are_open();

/// A shared library that stays in the process: what CUDA libraries start cannot be unloaded safely.
class SharedLibrary {
 public:
  /// The one of this name that is loaded already, or from the folder of the toolkit of the build, or from where the
  /// loader looks. DeviceError when none can be opened.
  explicit SharedLibrary(std::string file);
  /// DeviceError when the library lacks it.
  void* find(const char* symbol) const;

 private:
  std::string file_;
  void* handle_;
};

}  // namespace hso::detail
