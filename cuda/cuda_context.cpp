// SPDX-License-Identifier: Apache-2.0
#include "cuda_context.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "backend/process_memory.hpp"
#include "cuda_ops.hpp"
#include "hsogpu/core/error.hpp"
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
  const CurrentDevice current(ordinal);
  current.require();
  if (!has_code_for_current_device())
    throw DeviceError(fmt::format("device cuda:{}: {}; this build has code for {}", ordinal, describe_device(ordinal),
                                  built_architectures()));
  HSO_CHECK(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, ordinal));
  std::size_t free = 0, total = 0;
  HSO_CHECK(cudaMemGetInfo(&free, &total));
  total_bytes_ = static_cast<Index>(total);
  pool_ = std::make_unique<MemoryPool>(ordinal);
  HSO_CHECK(cudaStreamCreateWithFlags(stream_.fill(), cudaStreamNonBlocking));
  create_libraries();
  staging_ = std::make_unique<Staging>();
  ops_float_ = std::make_unique<CudaOps<float>>(*this);
  ops_double_ = std::make_unique<CudaOps<double>>(*this);
}

CudaContext::~CudaContext() {
  const CurrentDevice current(ordinal_);
  destroy_arena();
  wait();
  staging_.reset();
  solver_params_.reset();
  solver_.reset();
  blas_.reset();
  blas_workspace_.reset();
  stream_.reset();
  pool_.reset();
}

void CudaContext::create_libraries() {
  open_cuda_libraries();
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

OnDevice<cudaStream_t> CudaContext::stream() {
  const InUse in_use(*this);
  return {ordinal_, stream_.get()};
}

OnDevice<cublasHandle_t> CudaContext::blas() {
  const InUse in_use(*this);
  return {ordinal_, blas_.get()};
}

OnDevice<cusolverDnHandle_t> CudaContext::solver() {
  const InUse in_use(*this);
  return {ordinal_, solver_.get()};
}

std::string CudaContext::name() const { return fmt::format("cuda:{}", ordinal_); }

std::string CudaContext::description() const { return describe_device(ordinal_); }

// What the pool holds and does not use is as good as free.
DeviceMemory CudaContext::memory() const {
  const CurrentDevice current(ordinal_);
  current.require();
  std::size_t free = 0, total = 0;
  HSO_CHECK(cudaMemGetInfo(&free, &total));
  return within_limit({static_cast<Index>(free + pool_->idle_bytes()), static_cast<Index>(total)}, allocated_bytes());
}

void CudaContext::synchronize() {
  require_not_capturing("synchronize");
  HSO_CHECK(cudaStreamSynchronize(stream()));
}

void CudaContext::wait() noexcept {
  const CurrentDevice current(ordinal_);
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

void* CudaContext::raw_allocate(Index bytes) {
  require_not_capturing("allocate");
  return pool_->allocate(static_cast<std::size_t>(bytes), stream());
}

// Inside a capture a release would become a node of the graph, and every replay would free the memory again; the graph
// would also keep the address. So the capture is given up, and the memory goes back after it. Any thread may release.
void CudaContext::raw_release(void* memory) noexcept {
  const std::lock_guard guard(releasing_);
  if (capturing_) {
    released_in_capture_.push_back(memory);
    return;
  }
  const CurrentDevice current(ordinal_);
  pool_->release(memory, stream_.get());
}

void CudaContext::make_room() { pool_->make_room(stream()); }

Ops<float>& CudaContext::ops_float() { return *ops_float_; }

Ops<double>& CudaContext::ops_double() { return *ops_double_; }

void CudaContext::require_not_capturing(const char* what) const {
  if (capturing_) throw DeviceError(fmt::format("{}: called inside a recorded launch sequence", what));
}

// Relaxed: what a capture cannot hold is refused by require_not_capturing, and libraries may load modules inside.
void CudaContext::begin_capture() {
  const std::lock_guard guard(releasing_);
  HSO_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed));
  capturing_ = true;
}

GraphHandle CudaContext::end_capture() noexcept {
  GraphHandle graph;
  if (cudaStreamEndCapture(stream_.get(), graph.fill()) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    graph.reset();
  }
  std::vector<void*> released;
  {
    const std::lock_guard guard(releasing_);
    capturing_ = false;
    released.swap(released_in_capture_);
  }
  if (!released.empty()) graph.reset();
  for (void* memory : released) raw_release(memory);
  return graph;
}

std::unique_ptr<Context> create_cuda_context(int ordinal, const ContextOptions& options) {
  const CudaPresence presence = cuda_presence();
  const auto count = static_cast<int>(presence.devices.size());
  if (count == 0) throw DeviceError(fmt::format("device cuda: no usable CUDA device: {}", presence.reason));
  if (ordinal < 0 || ordinal >= count)
    throw DeviceError(fmt::format("device cuda:{}: no such device, expected 0 to {}", ordinal, count - 1));
  return std::unique_ptr<Context>(::new CudaContext(ordinal, options));  // `::new`: as in host/backend/devices.cpp
}

}  // namespace hso::detail
