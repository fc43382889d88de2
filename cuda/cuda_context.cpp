// SPDX-License-Identifier: Apache-2.0
#include "cuda_context.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "cuda_ops.hpp"
#include "hsogpu/error.hpp"
#include "presence.hpp"
#include "readback.hpp"
#include "recorded.hpp"

namespace hso::detail {

namespace {

constexpr std::size_t kBlasWorkspaceBytes = std::size_t{32} << 20;  // what cuBLAS recommends for Hopper

bool graphs_wanted() {
  const char* word = std::getenv("HSO_CUDA_GRAPHS");
  return word == nullptr || std::string_view(word) != "0";
}

}  // namespace

CudaContext::CudaContext(int ordinal, const ContextOptions& options)
    : Context(options), ordinal_(ordinal), graphs_enabled_(graphs_wanted()) {
  HSO_CHECK(cudaSetDevice(ordinal));
  if (!has_code_for_current_device())
    throw DeviceError(fmt::format("device cuda:{}: {}; this build has code for {}", ordinal, describe_device(ordinal),
                                  built_architectures()));
  HSO_CHECK(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, ordinal));
  std::size_t free = 0, total = 0;
  HSO_CHECK(cudaMemGetInfo(&free, &total));
  total_bytes_ = static_cast<Index>(total);
  create_pool();
  HSO_CHECK(cudaStreamCreateWithFlags(stream_.fill(), cudaStreamNonBlocking));
  create_libraries();
  staging_ = std::make_unique<Staging>();
  ops_float_ = std::make_unique<CudaOps<float>>(*this);
  ops_double_ = std::make_unique<CudaOps<double>>(*this);
}

CudaContext::~CudaContext() {
  destroy_arena();
  wait();
}

// A pool of our own: the threshold of the device's default pool would change what other code in the process sees.
void CudaContext::create_pool() {
  int supported = 0;
  HSO_CHECK(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, ordinal_));
  if (supported == 0) return;
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.handleTypes = cudaMemHandleTypeNone;
  properties.location = {cudaMemLocationTypeDevice, ordinal_};
  HSO_CHECK(cudaMemPoolCreate(pool_.fill(), &properties));
  std::uint64_t keep_everything = UINT64_MAX;
  HSO_CHECK(cudaMemPoolSetAttribute(pool_.get(), cudaMemPoolAttrReleaseThreshold, &keep_everything));
}

void CudaContext::create_libraries() {
  HSO_CHECK(cudaMalloc(blas_workspace_.fill(), kBlasWorkspaceBytes));
  HSO_CHECK(cublasCreate(blas_.fill()));
  HSO_CHECK(cublasSetStream(blas_.get(), stream_.get()));  // before the workspace: it resets the workspace
  HSO_CHECK(cublasSetWorkspace(blas_.get(), blas_workspace_.get(), kBlasWorkspaceBytes));
  HSO_CHECK(cublasSetMathMode(blas_.get(), options().tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
  HSO_CHECK(cublasSetAtomicsMode(blas_.get(), CUBLAS_ATOMICS_NOT_ALLOWED));
  HSO_CHECK(cusolverDnCreate(solver_.fill()));
  HSO_CHECK(cusolverDnSetStream(solver_.get(), stream_.get()));
  HSO_CHECK(cusolverDnSetDeterministicMode(solver_.get(), CUSOLVER_DETERMINISTIC_RESULTS));
  HSO_CHECK(cusolverDnCreateParams(solver_params_.fill()));
}

cudaStream_t CudaContext::stream() const {
  HSO_CHECK(cudaSetDevice(ordinal_));
  return stream_.get();
}

cublasHandle_t CudaContext::blas() const {
  HSO_CHECK(cudaSetDevice(ordinal_));
  return blas_.get();
}

cusolverDnHandle_t CudaContext::solver() const {
  HSO_CHECK(cudaSetDevice(ordinal_));
  return solver_.get();
}

std::string CudaContext::name() const { return fmt::format("cuda:{}", ordinal_); }

std::string CudaContext::description() const { return describe_device(ordinal_); }

// What the pool holds and does not use is as good as free.
DeviceMemory CudaContext::memory() const {
  HSO_CHECK(cudaSetDevice(ordinal_));
  std::size_t free = 0, total = 0;
  HSO_CHECK(cudaMemGetInfo(&free, &total));
  std::uint64_t reserved = 0, used = 0;
  if (pool_) {
    HSO_CHECK(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrReservedMemCurrent, &reserved));
    HSO_CHECK(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrUsedMemCurrent, &used));
  }
  return {static_cast<Index>(free + (reserved - used)), static_cast<Index>(total)};
}

void CudaContext::synchronize() {
  require_not_capturing("synchronize");
  HSO_CHECK(cudaStreamSynchronize(stream()));
}

void CudaContext::wait() noexcept {
  static_cast<void>(cudaSetDevice(ordinal_));
  static_cast<void>(cudaStreamSynchronize(stream_.get()));
}

void CudaContext::to_device(const void* host, void* device, Index bytes) {
  require_not_capturing("to_device");
  if (bytes > 0) staging_->upload(stream(), host, device, bytes);
}

void CudaContext::to_host(const void* device, void* host, Index bytes) {
  require_not_capturing("to_host");
  if (bytes > 0) staging_->read(stream(), device, host, bytes);
}

std::unique_ptr<Recorded> CudaContext::make_recorded() { return std::make_unique<CudaRecorded>(*this); }

std::unique_ptr<Readback> CudaContext::make_readback(Index capacity) {
  return std::make_unique<CudaReadback>(*this, capacity);
}

cudaError_t CudaContext::pool_allocate(void** memory, Index bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  const cudaStream_t on = stream();
  return pool_ ? cudaMallocFromPoolAsync(memory, size, pool_.get(), on) : cudaMalloc(memory, size);
}

void* CudaContext::raw_allocate(Index bytes) {
  require_not_capturing("allocate");
  void* memory = nullptr;
  cudaError_t status = pool_allocate(&memory, bytes);
  if (status == cudaErrorMemoryAllocation && pool_) {  // unused memory of the pool may be in pieces that are too small
    static_cast<void>(cudaGetLastError());
    HSO_CHECK(cudaStreamSynchronize(stream_.get()));
    HSO_CHECK(cudaMemPoolTrimTo(pool_.get(), 0));
    status = pool_allocate(&memory, bytes);
  }
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  HSO_CHECK(status);
  return memory;
}

// Inside a capture a release would become a node of the graph, and every replay would free the memory again.
void CudaContext::raw_release(void* memory) noexcept {
  if (capturing_) {
    released_in_capture_.push_back(memory);
    return;
  }
  static_cast<void>(cudaSetDevice(ordinal_));
  static_cast<void>(pool_ ? cudaFreeAsync(memory, stream_.get()) : cudaFree(memory));
}

Ops<float>& CudaContext::ops_float() { return *ops_float_; }

Ops<double>& CudaContext::ops_double() { return *ops_double_; }

void CudaContext::require_not_capturing(const char* what) const {
  if (capturing_) throw DeviceError(fmt::format("{}: called inside a recorded launch sequence", what));
}

// Relaxed: what a capture cannot hold is refused by require_not_capturing, and libraries may load modules inside.
void CudaContext::begin_capture() {
  HSO_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed));
  capturing_ = true;
}

GraphHandle CudaContext::end_capture() noexcept {
  GraphHandle graph;
  if (cudaStreamEndCapture(stream_.get(), graph.fill()) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    graph.reset();
  }
  capturing_ = false;
  for (void* memory : released_in_capture_) raw_release(memory);
  released_in_capture_.clear();
  return graph;
}

std::unique_ptr<Context> create_cuda_context(int ordinal, const ContextOptions& options) {
  const CudaPresence presence = cuda_presence();
  const auto count = static_cast<int>(presence.devices.size());
  if (count == 0) throw DeviceError(fmt::format("device cuda: no usable CUDA device: {}", presence.reason));
  if (ordinal < 0 || ordinal >= count)
    throw DeviceError(fmt::format("device cuda:{}: no such device, expected 0 to {}", ordinal, count - 1));
  return std::make_unique<CudaContext>(ordinal, options);
}

}  // namespace hso::detail
