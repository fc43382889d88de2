// SPDX-License-Identifier: Apache-2.0
//
// The double of cuSOLVER: handles, workspaces, and the queue.
#include "solver.hpp"

#include <cstring>

namespace hso::emulated {

namespace {

constexpr std::size_t kHostBytes = 4096;  // of every size query

LiveHandles<cusolverDnHandle_t>& handles() {
  static auto& all = *new LiveHandles<cusolverDnHandle_t>;  // handles may be destroyed after static objects
  return all;
}
LiveHandles<cusolverDnParams_t>& parameters() {
  static auto& all = *new LiveHandles<cusolverDnParams_t>;
  return all;
}

cusolverStatus_t status_of(cudaError_t error) {
  if (error == cudaSuccess) return CUSOLVER_STATUS_SUCCESS;
  return error == cudaErrorMemoryAllocation ? CUSOLVER_STATUS_ALLOC_FAILED : CUSOLVER_STATUS_EXECUTION_FAILED;
}

template <class T>
cusolverStatus_t create(T** made, LiveHandles<T*>& all, T value) {
  const std::lock_guard guard(lock());
  progress();
  if (made == nullptr) return CUSOLVER_STATUS_INVALID_VALUE;
  if (device_count() == 0) return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (const cudaError_t error = enter(Site::library); error != cudaSuccess) return status_of(error);
  *made = new T(value);
  all.add(*made);
  return CUSOLVER_STATUS_SUCCESS;
}

template <class T>
cusolverStatus_t destroy(T* handle, LiveHandles<T*>& all, const std::string& call) {
  const std::lock_guard guard(lock());
  progress();
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  all.remove(handle, call);
  delete handle;
  return status_of(lost());
}

std::size_t bytes_of(double elements, cudaDataType type) {
  return static_cast<std::size_t>(elements) * element_bytes(type);
}

}  // namespace

cusolverStatus_t begin(cusolverDnHandle_t handle, const std::string& call) {
  progress();
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  handles().require(handle, call);
  return status_of(enter(Site::library));
}

cusolverStatus_t begin(cusolverDnHandle_t handle, cusolverDnParams_t params, const std::string& call) {
  const cusolverStatus_t status = begin(handle, call);
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (params == nullptr) return CUSOLVER_STATUS_INVALID_VALUE;
  parameters().require(params, call);
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t answer(double elements, cudaDataType type, std::size_t* device_bytes, std::size_t* host_bytes) {
  constexpr double kMost = 4.6e18;  // bytes: 2^62
  if (device_bytes == nullptr || host_bytes == nullptr || elements * static_cast<double>(element_bytes(type)) > kMost)
    return CUSOLVER_STATUS_INVALID_VALUE;
  *device_bytes = bytes_of(elements, type);
  *host_bytes = kHostBytes;
  return CUSOLVER_STATUS_SUCCESS;
}

double potrf_elements(std::int64_t n) { return 128 * static_cast<double>(n) + 1024; }

double eigen_elements(std::int64_t n, std::int64_t batch, bool vectors) {
  const auto order = static_cast<double>(n);
  return static_cast<double>(batch) * ((vectors ? 3 : 1) * order * order + 64 * order + 256);
}

cusolverStatus_t submit(Job job) {
  if (job.handle->device != current_device()) violation(job.call + ": the current device is not that of the handle");
  if (is_capturing(job.handle->stream)) {
    invalidate_capture(job.handle->stream);
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  }
  std::vector<Operand> touched = job.operands;
  touched.push_back(job.workspace);
  require_operands(job.call, job.handle->device, touched);
  const cudaStream_t stream = job.handle->stream;
  const std::string name = job.call;
  const auto run = [job = std::move(job), touched] {
    const Open open;
    require_live(job.call, touched);
    if (job.workspace.column_bytes > 0)
      std::memset(const_cast<void*>(job.workspace.data), 0xFF, static_cast<std::size_t>(job.workspace.column_bytes));
    job.run();
    book().flops += job.flops;
    book().library_bytes += operand_bytes(job.operands);
  };
  enqueue(stream, {Item::Kind::library, name, run});
  return CUSOLVER_STATUS_SUCCESS;
}

// What the workspace held is lost: the host's part in the call, the device's when the stream gets there.
cusolverStatus_t submit(Job job, const Workspace& given, double elements, cudaDataType type) {
  if (given.device_bytes < bytes_of(elements, type) || given.host_bytes < kHostBytes || given.device == nullptr ||
      given.host == nullptr)
    return CUSOLVER_STATUS_INVALID_WORKSPACE;
  std::memset(given.host, 0xFF, given.host_bytes);
  job.workspace =
      array("the workspace", static_cast<char*>(given.device), static_cast<std::int64_t>(given.device_bytes));
  return submit(std::move(job));
}

}  // namespace hso::emulated

using namespace hso::emulated;

extern "C" {

cusolverStatus_t cusolverGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr || type < MAJOR_VERSION || type > PATCH_LEVEL) return CUSOLVER_STATUS_INVALID_VALUE;
  constexpr int kVersion[] = {CUSOLVER_VER_MAJOR, CUSOLVER_VER_MINOR, CUSOLVER_VER_PATCH};
  *value = kVersion[type];
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  const std::lock_guard guard(lock());
  return create(handle, handles(), cusolverDnContext{current_device(), nullptr});
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
  return destroy(handle, handles(), "cusolverDnDestroy");
}

cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* params) {
  return create(params, parameters(), cusolverDnParams{});
}

cusolverStatus_t cusolverDnDestroyParams(cusolverDnParams_t params) {
  return destroy(params, parameters(), "cusolverDnDestroyParams");
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, "cusolverDnSetStream");
  if (status == CUSOLVER_STATUS_SUCCESS) handle->stream = stream;
  return status;
}

cusolverStatus_t cusolverDnSetDeterministicMode(cusolverDnHandle_t handle, cusolverDeterministicMode_t mode) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, "cusolverDnSetDeterministicMode");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  const bool known = mode == CUSOLVER_DETERMINISTIC_RESULTS || mode == CUSOLVER_ALLOW_NON_DETERMINISTIC_RESULTS;
  return known ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_INVALID_VALUE;
}
}
