// SPDX-License-Identifier: Apache-2.0
//
// What can be said about CUDA on this machine without touching a device: works without a driver.
#include "presence.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check.hpp"
#include "cuda_libraries.hpp"
#include "hsogpu/core/error.hpp"
#include "kernel_architectures.hpp"

namespace hso::detail {

namespace {

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  if (cudaDeviceGetAttribute(&value, which, ordinal) != cudaSuccess) static_cast<void>(cudaGetLastError());
  return value;
}

template <class GetProperty>
std::string library_version(const char* name, GetProperty get) {
  int major = 0, minor = 0, patch = 0;
  get(MAJOR_VERSION, &major);
  get(MINOR_VERSION, &minor);
  get(PATCH_LEVEL, &patch);
  return fmt::format("{} {}.{}.{}", name, major, minor, patch);
}

std::string cuda_version(const char* name, int version) {
  return fmt::format("{} {}.{}", name, version / 1000, version % 1000 / 10);
}

}  // namespace

std::vector<std::string> cuda_libraries(bool load) {
  int runtime = 0, driver = 0;
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess || cudaDriverGetVersion(&driver) != cudaSuccess)
    static_cast<void>(cudaGetLastError());
  std::vector<std::string> lines{cuda_version("CUDA runtime", runtime)};
  if (driver > 0) lines.push_back(cuda_version("CUDA driver", driver));
  try {
    if (load) open_cuda_libraries();
    if (cuda_libraries_are_open()) {
      lines.push_back(library_version("cuBLAS", cublasGetProperty));
      lines.push_back(library_version("cuSOLVER", cusolverGetProperty));
    }
  } catch (const DeviceError& error) {
    lines.emplace_back(error.what());
  }
  return lines;
}

std::string describe_device(int ordinal) {
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, ordinal) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return "properties not readable";
  }
  return fmt::format("{}, compute capability {}.{}, {} multiprocessors, {:.1f} GiB", properties.name, properties.major,
                     properties.minor, properties.multiProcessorCount,
                     static_cast<double>(properties.totalGlobalMem) / (1 << 30));
}

std::string built_architectures() {
  std::vector<std::string> names;
  for (int a : kernel_architectures()) names.push_back(fmt::format("sm_{}", a / 10));
  return fmt::format("{}", fmt::join(names, ", "));
}

CudaPresence cuda_presence() {
  CudaPresence presence{.devices = {}, .first_usable = 0, .reason = {}};
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {  // then `count` was left alone, whatever it held
    static_cast<void>(cudaGetLastError());
    int driver = 0;
    const bool driver_found = cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0;
    presence.reason = driver_found ? fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status))
                                   : std::string("no NVIDIA driver was found");
    return presence;
  }
  bool any_runs = false;
  for (int i = 0; i < count; ++i) {
    const int capability =
        attribute(cudaDevAttrComputeCapabilityMajor, i) * 100 + attribute(cudaDevAttrComputeCapabilityMinor, i) * 10;
    const bool runs = can_run_on(kernel_architectures(), capability);
    if (runs && !any_runs) presence.first_usable = i;
    any_runs = any_runs || runs;
    presence.devices.push_back(describe_device(i) + (runs ? "" : " (no code for it in this build)"));
  }
  if (any_runs) return presence;
  presence.reason = count == 0 ? std::string("the driver reports no device")
                               : fmt::format("this build has code for {}; found {}", built_architectures(),
                                             fmt::join(presence.devices, "; "));
  presence.devices.clear();
  return presence;
}

}  // namespace hso::detail
