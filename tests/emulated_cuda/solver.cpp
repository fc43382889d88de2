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

cusolverStatus_t answer(double device_needed, std::size_t* device_bytes, std::size_t* host_bytes) {
  constexpr double kMost = 4.6e18;  // 2^62
  if (device_bytes == nullptr || host_bytes == nullptr || device_needed > kMost) return CUSOLVER_STATUS_INVALID_VALUE;
  *device_bytes = static_cast<std::size_t>(device_needed);
  *host_bytes = kHostBytes;
  return CUSOLVER_STATUS_SUCCESS;
}

double potrf_bytes(std::int64_t n, cudaDataType type) {
  return element_bytes(type) * (128 * static_cast<double>(n) + 1024);
}

double eigen_bytes(std::int64_t n, std::int64_t batch, bool vectors, cudaDataType type) {
  const auto order = static_cast<double>(n);
  return element_bytes(type) * static_cast<double>(batch) * ((vectors ? 3 : 1) * order * order + 64 * order + 256);
}

cusolverStatus_t submit(cusolverDnHandle_t handle, LibraryCall call) {
  if (is_capturing(handle->stream)) {
    invalidate_capture(handle->stream);
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  }
  const std::int64_t all = call.workspace.column_bytes;
  queue_call(handle->stream, handle->device, std::move(call), all);
  return CUSOLVER_STATUS_SUCCESS;
}

// What the workspace held is lost: the host's part in the call, the device's when the stream gets there.
cusolverStatus_t submit(cusolverDnHandle_t handle, LibraryCall call, const Workspace& given, double device_needed) {
  if (static_cast<double>(given.device_bytes) < device_needed || given.host_bytes < kHostBytes ||
      given.device == nullptr || given.host == nullptr)
    return CUSOLVER_STATUS_INVALID_WORKSPACE;
  std::memset(given.host, 0xFF, given.host_bytes);
  call.workspace =
      array("the workspace", static_cast<char*>(given.device), static_cast<std::int64_t>(given.device_bytes));
  return submit(handle, std::move(call));
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
