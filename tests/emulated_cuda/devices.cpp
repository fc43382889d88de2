// SPDX-License-Identifier: Apache-2.0
//
// Which devices there are: HSO_EMULATED_DEVICES and HSO_EMULATED_MEMORY, read whenever somebody asks.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "device.hpp"

namespace hso::emulated {

namespace {

struct Capability {
  int major, minor;
};

std::vector<Capability> capabilities() {
  const char* word = std::getenv("HSO_EMULATED_DEVICES");
  std::string text = word == nullptr ? "9.0" : word;
  std::vector<Capability> all;
  if (text == "none") return all;
  for (const char* at = text.c_str();;) {
    Capability c{};
    int length = 0;
    if (std::sscanf(at, "%d.%d%n", &c.major, &c.minor, &length) != 2)
      violation("HSO_EMULATED_DEVICES: expected capabilities like 9.0,8.6 or none, found '" + text + "'");
    all.push_back(c);
    at += length;
    if (*at != ',') return all;
    ++at;
  }
}

thread_local int current = 0;

}  // namespace

int current_device() { return current; }

int device_count() { return static_cast<int>(capabilities().size()); }

std::size_t device_total() {
  const char* word = std::getenv("HSO_EMULATED_MEMORY");
  return word == nullptr ? std::size_t{64} << 30 : std::strtoull(word, nullptr, 10);
}

cudaError_t function_attributes(cudaFuncAttributes* attributes, const void*) {
  const std::lock_guard guard(lock());
  if (const cudaError_t e = enter(Site::any); e != cudaSuccess) return e;
  attributes->maxThreadsPerBlock = 1024;
  const Capability c = capabilities().at(static_cast<std::size_t>(current));
  return c.major == 9 ? cudaSuccess : report(cudaErrorNoKernelImageForDevice);  // __CUDA_ARCH_LIST__ is 900
}

}  // namespace hso::emulated

using namespace hso::emulated;

namespace {

constexpr int kMultiprocessors = 132;

cudaError_t check_device(int device) {
  return device >= 0 && device < device_count() ? cudaSuccess : report(cudaErrorInvalidDevice);
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  if (device_count() == 0) return report(cudaErrorNoDevice);
  *count = device_count();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t e = check_device(device); e != cudaSuccess) return e;
  *properties = {};
  std::strcpy(properties->name, "emulated CUDA device (runs on the CPU)");
  properties->totalGlobalMem = device_total();
  properties->major = capabilities()[static_cast<std::size_t>(device)].major;
  properties->minor = capabilities()[static_cast<std::size_t>(device)].minor;
  properties->multiProcessorCount = kMultiprocessors;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (const cudaError_t e = check_device(device); e != cudaSuccess) return e;
  const Capability c = capabilities()[static_cast<std::size_t>(device)];
  const std::map<cudaDeviceAttr, int> values{{cudaDevAttrMultiProcessorCount, kMultiprocessors},
                                             {cudaDevAttrComputeCapabilityMajor, c.major},
                                             {cudaDevAttrComputeCapabilityMinor, c.minor},
                                             {cudaDevAttrMemoryPoolsSupported, 1}};
  *value = values.at(attribute);
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t e = check_device(device); e != cudaSuccess) return e;
  current = device;
  return lost();
}

cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return lost();
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard guard(lock());
  *total = device_total();
  *free = device_total() - device_used(current);
  return lost();
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorNoKernelImageForDevice:
      return "cudaErrorNoKernelImageForDevice";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    default:
      return "cudaErrorUnknown";
  }
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    default:
      return "emulated";
  }
}

}  // extern "C"
