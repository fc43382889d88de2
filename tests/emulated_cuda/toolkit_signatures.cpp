// SPDX-License-Identifier: Apache-2.0
//
// Names, values and types that the headers under include/ declare. The same list is compiled against them and, where it
// is installed, against the toolkit: both must agree with it. toolkit_signatures.sh finds names that are missing here.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace {

/// Takes the overload of exactly this type: the toolkit has several of some names.
template <class Function>
constexpr bool has_type(Function*) {
  return true;
}
template <class Left, class Right>
constexpr bool same = std::is_same_v<Left, Right>;
template <class Kernel>
concept HasAttributes = requires(cudaFuncAttributes* to, Kernel kernel) {
  cudaFuncGetAttributes(to, kernel);
};

// ---- The runtime
static_assert(same<cudaError_t, cudaError> && same<cudaDataType, cudaDataType_t>);
static_assert(same<libraryPropertyType, libraryPropertyType_t>);
static_assert(same<cudaStream_t, CUstream_st*> && same<cudaEvent_t, CUevent_st*>);
static_assert(same<cudaGraph_t, CUgraph_st*> && same<cudaGraphExec_t, CUgraphExec_st*>);
static_assert(same<cudaMemPool_t, CUmemPoolHandle_st*>);
static_assert(same<decltype(uint3::x), unsigned>);
static_assert(same<decltype(uint3::y), unsigned>);
static_assert(same<decltype(uint3::z), unsigned>);
static_assert(same<decltype(dim3::x), unsigned>);
static_assert(same<decltype(dim3::y), unsigned>);
static_assert(same<decltype(dim3::z), unsigned>);
static_assert(same<decltype(cudaMemLocation::type), cudaMemLocationType>);
static_assert(same<decltype(cudaMemLocation::id), int>);
static_assert(same<decltype(cudaMemPoolProps::allocType), cudaMemAllocationType>);
static_assert(same<decltype(cudaMemPoolProps::handleTypes), cudaMemAllocationHandleType>);
static_assert(same<decltype(cudaMemPoolProps::location), cudaMemLocation>);
static_assert(same<decltype(cudaDeviceProp::name), char[256]>);
static_assert(same<decltype(cudaDeviceProp::totalGlobalMem), std::size_t>);
static_assert(same<decltype(cudaDeviceProp::major), int>);
static_assert(same<decltype(cudaDeviceProp::minor), int>);
static_assert(same<decltype(cudaDeviceProp::multiProcessorCount), int>);
static_assert(same<decltype(cudaFuncAttributes::maxThreadsPerBlock), int>);
static_assert(same<decltype(cudaLaunchConfig_t::gridDim), dim3>);
static_assert(same<decltype(cudaLaunchConfig_t::blockDim), dim3>);
static_assert(same<decltype(cudaLaunchConfig_t::dynamicSmemBytes), std::size_t>);
static_assert(same<decltype(cudaLaunchConfig_t::stream), cudaStream_t>);
static_assert(same<decltype(cudaLaunchKernelEx(std::declval<const cudaLaunchConfig_t*>(),
                                               std::declval<void (*)(int, float*)>(), 1, std::declval<float*>())),
                   cudaError_t>);
// nvcc alone sees the toolkit's overload that takes a kernel; g++ sees the one that takes its address.
static_assert(HasAttributes<void (*)(int)> || HasAttributes<const void*>);
static_assert(std::is_enum_v<cudaError>);
static_assert(cudaSuccess == 0);
static_assert(cudaErrorInvalidValue == 1);
static_assert(cudaErrorMemoryAllocation == 2);
static_assert(cudaErrorInitializationError == 3);
static_assert(cudaErrorInvalidConfiguration == 9);
static_assert(cudaErrorNoKernelImageForDevice == 209);
static_assert(cudaErrorInvalidDeviceFunction == 98);
static_assert(cudaErrorNoDevice == 100);
static_assert(cudaErrorInvalidDevice == 101);
static_assert(cudaErrorInvalidResourceHandle == 400);
static_assert(cudaErrorNotReady == 600);
static_assert(cudaErrorIllegalAddress == 700);
static_assert(cudaErrorLaunchFailure == 719);
static_assert(cudaErrorStreamCaptureUnsupported == 900);
static_assert(cudaErrorStreamCaptureInvalidated == 901);
static_assert(cudaErrorUnknown == 999);
static_assert(std::is_enum_v<cudaMemcpyKind>);
static_assert(cudaMemcpyHostToHost == 0);
static_assert(cudaMemcpyHostToDevice == 1);
static_assert(cudaMemcpyDeviceToHost == 2);
static_assert(cudaMemcpyDeviceToDevice == 3);
static_assert(std::is_enum_v<cudaStreamCaptureMode>);
static_assert(cudaStreamCaptureModeGlobal == 0);
static_assert(cudaStreamCaptureModeThreadLocal == 1);
static_assert(cudaStreamCaptureModeRelaxed == 2);
static_assert(std::is_enum_v<cudaDeviceAttr>);
static_assert(cudaDevAttrMultiProcessorCount == 16);
static_assert(cudaDevAttrComputeCapabilityMajor == 75);
static_assert(cudaDevAttrComputeCapabilityMinor == 76);
static_assert(cudaDevAttrMemoryPoolsSupported == 115);
static_assert(std::is_enum_v<cudaMemAllocationType>);
static_assert(cudaMemAllocationTypeInvalid == 0);
static_assert(cudaMemAllocationTypePinned == 1);
static_assert(std::is_enum_v<cudaMemAllocationHandleType>);
static_assert(cudaMemHandleTypeNone == 0);
static_assert(std::is_enum_v<cudaMemLocationType>);
static_assert(cudaMemLocationTypeDevice == 1);
static_assert(std::is_enum_v<cudaMemPoolAttr>);
static_assert(cudaMemPoolAttrReleaseThreshold == 4);
static_assert(cudaMemPoolAttrReservedMemCurrent == 5);
static_assert(cudaMemPoolAttrUsedMemCurrent == 7);
static_assert(std::is_enum_v<cudaDataType_t>);
static_assert(CUDA_R_32F == 0);
static_assert(CUDA_R_64F == 1);
static_assert(std::is_enum_v<libraryPropertyType_t>);
static_assert(MAJOR_VERSION == 0);
static_assert(MINOR_VERSION == 1);
static_assert(PATCH_LEVEL == 2);
static_assert(cudaStreamNonBlocking == 0x01);
static_assert(cudaEventDisableTiming == 0x02);
static_assert(cudaHostAllocPortable == 0x01);
static_assert(cudaHostAllocMapped == 0x02);
static_assert(has_type<cudaError_t()>(cudaGetLastError));
static_assert(has_type<const char*(cudaError_t)>(cudaGetErrorName));
static_assert(has_type<const char*(cudaError_t)>(cudaGetErrorString));
static_assert(has_type<cudaError_t(int*)>(cudaGetDeviceCount));
static_assert(has_type<cudaError_t(cudaDeviceProp*, int)>(cudaGetDeviceProperties));
static_assert(has_type<cudaError_t(int*, cudaDeviceAttr, int)>(cudaDeviceGetAttribute));
static_assert(has_type<cudaError_t(int)>(cudaSetDevice));
static_assert(has_type<cudaError_t(int*)>(cudaGetDevice));
static_assert(has_type<cudaError_t(int*)>(cudaDriverGetVersion));
static_assert(has_type<cudaError_t(int*)>(cudaRuntimeGetVersion));
static_assert(has_type<cudaError_t(std::size_t*, std::size_t*)>(cudaMemGetInfo));
static_assert(has_type<cudaError_t(void**, std::size_t)>(cudaMalloc));
static_assert(has_type<cudaError_t(void*)>(cudaFree));
static_assert(has_type<cudaError_t(void**, std::size_t, unsigned)>(cudaHostAlloc));
static_assert(has_type<cudaError_t(void*)>(cudaFreeHost));
static_assert(has_type<cudaError_t(cudaMemPool_t*, const cudaMemPoolProps*)>(cudaMemPoolCreate));
static_assert(has_type<cudaError_t(cudaMemPool_t)>(cudaMemPoolDestroy));
static_assert(has_type<cudaError_t(cudaMemPool_t, std::size_t)>(cudaMemPoolTrimTo));
static_assert(has_type<cudaError_t(cudaMemPool_t, cudaMemPoolAttr, void*)>(cudaMemPoolSetAttribute));
static_assert(has_type<cudaError_t(cudaMemPool_t, cudaMemPoolAttr, void*)>(cudaMemPoolGetAttribute));
static_assert(has_type<cudaError_t(void**, std::size_t, cudaMemPool_t, cudaStream_t)>(cudaMallocFromPoolAsync));
static_assert(has_type<cudaError_t(void*, cudaStream_t)>(cudaFreeAsync));
static_assert(has_type<cudaError_t(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t)>(cudaMemcpyAsync));
static_assert(has_type<cudaError_t(cudaStream_t*, unsigned)>(cudaStreamCreateWithFlags));
static_assert(has_type<cudaError_t(cudaStream_t)>(cudaStreamDestroy));
static_assert(has_type<cudaError_t(cudaStream_t)>(cudaStreamSynchronize));
static_assert(has_type<cudaError_t(cudaStream_t, cudaEvent_t, unsigned)>(cudaStreamWaitEvent));
static_assert(has_type<cudaError_t(cudaStream_t, cudaStreamCaptureMode)>(cudaStreamBeginCapture));
static_assert(has_type<cudaError_t(cudaStream_t, cudaGraph_t*)>(cudaStreamEndCapture));
static_assert(has_type<cudaError_t(cudaEvent_t*, unsigned)>(cudaEventCreateWithFlags));
static_assert(has_type<cudaError_t(cudaEvent_t)>(cudaEventDestroy));
static_assert(has_type<cudaError_t(cudaEvent_t, cudaStream_t)>(cudaEventRecord));
static_assert(has_type<cudaError_t(cudaEvent_t)>(cudaEventSynchronize));
static_assert(has_type<cudaError_t(cudaEvent_t)>(cudaEventQuery));
static_assert(has_type<cudaError_t(cudaGraphExec_t*, cudaGraph_t, unsigned long long)>(cudaGraphInstantiate));
static_assert(has_type<cudaError_t(cudaGraph_t)>(cudaGraphDestroy));
static_assert(has_type<cudaError_t(cudaGraphExec_t)>(cudaGraphExecDestroy));
static_assert(has_type<cudaError_t(cudaGraphExec_t, cudaStream_t)>(cudaGraphLaunch));
// ---- cuBLAS
static_assert(same<cublasHandle_t, cublasContext*>);
static_assert(std::is_enum_v<cublasStatus_t>);
static_assert(CUBLAS_STATUS_SUCCESS == 0);
static_assert(CUBLAS_STATUS_NOT_INITIALIZED == 1);
static_assert(CUBLAS_STATUS_ALLOC_FAILED == 3);
static_assert(CUBLAS_STATUS_INVALID_VALUE == 7);
static_assert(CUBLAS_STATUS_ARCH_MISMATCH == 8);
static_assert(CUBLAS_STATUS_MAPPING_ERROR == 11);
static_assert(CUBLAS_STATUS_EXECUTION_FAILED == 13);
static_assert(CUBLAS_STATUS_INTERNAL_ERROR == 14);
static_assert(CUBLAS_STATUS_NOT_SUPPORTED == 15);
static_assert(std::is_enum_v<cublasFillMode_t>);
static_assert(CUBLAS_FILL_MODE_LOWER == 0);
static_assert(CUBLAS_FILL_MODE_UPPER == 1);
static_assert(std::is_enum_v<cublasOperation_t>);
static_assert(CUBLAS_OP_N == 0);
static_assert(CUBLAS_OP_T == 1);
static_assert(std::is_enum_v<cublasAtomicsMode_t>);
static_assert(CUBLAS_ATOMICS_NOT_ALLOWED == 0);
static_assert(CUBLAS_ATOMICS_ALLOWED == 1);
static_assert(std::is_enum_v<cublasMath_t>);
static_assert(CUBLAS_DEFAULT_MATH == 0);
static_assert(CUBLAS_TF32_TENSOR_OP_MATH == 3);
static_assert(has_type<cublasStatus_t(cublasHandle_t*)>(cublasCreate));
static_assert(has_type<cublasStatus_t(cublasHandle_t)>(cublasDestroy));
static_assert(has_type<cublasStatus_t(libraryPropertyType, int*)>(cublasGetProperty));
static_assert(has_type<const char*(cublasStatus_t)>(cublasGetStatusName));
static_assert(has_type<const char*(cublasStatus_t)>(cublasGetStatusString));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cudaStream_t)>(cublasSetStream));
static_assert(has_type<cublasStatus_t(cublasHandle_t, void*, std::size_t)>(cublasSetWorkspace));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cublasMath_t)>(cublasSetMathMode));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cublasAtomicsMode_t)>(cublasSetAtomicsMode));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, std::int64_t, std::int64_t,
                                      std::int64_t, const float*, const float*, std::int64_t, const float*,
                                      std::int64_t, const float*, float*, std::int64_t)>(cublasSgemm_64));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, std::int64_t, std::int64_t,
                                      std::int64_t, const double*, const double*, std::int64_t, const double*,
                                      std::int64_t, const double*, double*, std::int64_t)>(cublasDgemm_64));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, std::int64_t, std::int64_t,
                                      std::int64_t, const float*, const float*, std::int64_t, long long, const float*,
                                      std::int64_t, long long, const float*, float*, std::int64_t, long long,
                                      std::int64_t)>(cublasSgemmStridedBatched_64));
static_assert(has_type<cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, std::int64_t, std::int64_t,
                                      std::int64_t, const double*, const double*, std::int64_t, long long,
                                      const double*, std::int64_t, long long, const double*, double*, std::int64_t,
                                      long long, std::int64_t)>(cublasDgemmStridedBatched_64));
// ---- cuSOLVER
static_assert(same<cusolverDnHandle_t, cusolverDnContext*> && same<cusolverDnParams_t, cusolverDnParams*>);
static_assert(std::is_enum_v<cusolverStatus_t>);
static_assert(CUSOLVER_STATUS_SUCCESS == 0);
static_assert(CUSOLVER_STATUS_NOT_INITIALIZED == 1);
static_assert(CUSOLVER_STATUS_ALLOC_FAILED == 2);
static_assert(CUSOLVER_STATUS_INVALID_VALUE == 3);
static_assert(CUSOLVER_STATUS_ARCH_MISMATCH == 4);
static_assert(CUSOLVER_STATUS_EXECUTION_FAILED == 6);
static_assert(CUSOLVER_STATUS_INTERNAL_ERROR == 7);
static_assert(CUSOLVER_STATUS_NOT_SUPPORTED == 9);
static_assert(CUSOLVER_STATUS_INVALID_WORKSPACE == 31);
static_assert(std::is_enum_v<cusolverEigMode_t>);
static_assert(CUSOLVER_EIG_MODE_NOVECTOR == 0);
static_assert(CUSOLVER_EIG_MODE_VECTOR == 1);
static_assert(std::is_enum_v<cusolverEigRange_t>);
static_assert(CUSOLVER_EIG_RANGE_ALL == 1001);
static_assert(CUSOLVER_EIG_RANGE_I == 1002);
static_assert(CUSOLVER_EIG_RANGE_V == 1003);
static_assert(std::is_enum_v<cusolverDeterministicMode_t>);
static_assert(CUSOLVER_DETERMINISTIC_RESULTS == 1);
static_assert(CUSOLVER_ALLOW_NON_DETERMINISTIC_RESULTS == 2);
static_assert(has_type<cusolverStatus_t(libraryPropertyType, int*)>(cusolverGetProperty));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t*)>(cusolverDnCreate));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t)>(cusolverDnDestroy));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cudaStream_t)>(cusolverDnSetStream));
static_assert(
    has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDeterministicMode_t)>(cusolverDnSetDeterministicMode));
static_assert(has_type<cusolverStatus_t(cusolverDnParams_t*)>(cusolverDnCreateParams));
static_assert(has_type<cusolverStatus_t(cusolverDnParams_t)>(cusolverDnDestroyParams));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cublasFillMode_t, std::int64_t,
                                        cudaDataType, const void*, std::int64_t, cudaDataType, std::size_t*,
                                        std::size_t*)>(cusolverDnXpotrf_bufferSize));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cublasFillMode_t, std::int64_t,
                                        cudaDataType, void*, std::int64_t, cudaDataType, void*, std::size_t, void*,
                                        std::size_t, int*)>(cusolverDnXpotrf));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cublasFillMode_t, std::int64_t,
                                        std::int64_t, cudaDataType, const void*, std::int64_t, cudaDataType, void*,
                                        std::int64_t, int*)>(cusolverDnXpotrs));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cublasFillMode_t, int, float*, int, int*)>(
    cusolverDnSpotri_bufferSize));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cublasFillMode_t, int, double*, int, int*)>(
    cusolverDnDpotri_bufferSize));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cublasFillMode_t, int, float*, int, float*, int, int*)>(
    cusolverDnSpotri));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cublasFillMode_t, int, double*, int, double*, int, int*)>(
    cusolverDnDpotri));
static_assert(
    has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t, cublasFillMode_t, std::int64_t,
                              cudaDataType, const void*, std::int64_t, cudaDataType, const void*, cudaDataType,
                              std::size_t*, std::size_t*)>(cusolverDnXsyevd_bufferSize));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t, cublasFillMode_t,
                                        std::int64_t, cudaDataType, void*, std::int64_t, cudaDataType, void*,
                                        cudaDataType, void*, std::size_t, void*, std::size_t, int*)>(cusolverDnXsyevd));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t, cusolverEigRange_t,
                                        cublasFillMode_t, std::int64_t, cudaDataType, const void*, std::int64_t, void*,
                                        void*, std::int64_t, std::int64_t, std::int64_t*, cudaDataType, const void*,
                                        cudaDataType, std::size_t*, std::size_t*)>(cusolverDnXsyevdx_bufferSize));
static_assert(has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t, cusolverEigRange_t,
                                        cublasFillMode_t, std::int64_t, cudaDataType, void*, std::int64_t, void*, void*,
                                        std::int64_t, std::int64_t, std::int64_t*, cudaDataType, void*, cudaDataType,
                                        void*, std::size_t, void*, std::size_t, int*)>(cusolverDnXsyevdx));
static_assert(
    has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t, cublasFillMode_t, std::int64_t,
                              cudaDataType, const void*, std::int64_t, cudaDataType, const void*, cudaDataType,
                              std::size_t*, std::size_t*, std::int64_t)>(cusolverDnXsyevBatched_bufferSize));
static_assert(
    has_type<cusolverStatus_t(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t, cublasFillMode_t, std::int64_t,
                              cudaDataType, void*, std::int64_t, cudaDataType, void*, cudaDataType, void*, std::size_t,
                              void*, std::size_t, int*, std::int64_t)>(cusolverDnXsyevBatched));

}  // namespace
