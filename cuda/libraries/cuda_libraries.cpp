// SPDX-License-Identifier: Apache-2.0
#include "cuda_libraries.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "hsogpu/core/error.hpp"

namespace hso::detail {

namespace {

std::atomic<bool> opened = false;

constexpr int kOpen = RTLD_NOW | RTLD_LOCAL;

[[noreturn]] void throw_missing(const std::string& what) {
  constexpr int kMajor = CUDART_VERSION / 1000, kMinor = CUDART_VERSION % 1000 / 10;
  throw DeviceError(
      fmt::format("{}; CUDA devices need cuBLAS and cuSOLVER of CUDA {}.{}: install them (NVIDIA's packages "
                  "libcublas-{}-{} and libcusolver-{}-{}), or add their folder to LD_LIBRARY_PATH",
                  what, kMajor, kMinor, kMajor, kMinor, kMajor, kMinor));
}

}  // namespace

SharedLibrary::SharedLibrary(std::string file)
    : file_(std::move(file)), handle_(dlopen(file_.c_str(), kOpen | RTLD_NOLOAD)) {
  if (handle_ != nullptr) return;
  std::string tried;
  for (const std::string& path : {std::string(HSO_CUDA_LIBRARY_FOLDER "/") + file_, file_}) {
    handle_ = dlopen(path.c_str(), kOpen);
    if (handle_ != nullptr) return;
    tried += (tried.empty() ? "" : "; ") + std::string(dlerror());
  }
  throw_missing(fmt::format("{} cannot be opened: {}", file_, tried));
}

void* SharedLibrary::find(const char* symbol) const {
  void* address = dlsym(handle_, symbol);
  if (address == nullptr) throw_missing(fmt::format("{} lacks {}: {}", file_, symbol, dlerror()));
  return address;
}

// The headers rename some functions by macros: the symbol is what the name stands for.
#define HSO_SYMBOL(name) #name
#define HSO_FIND(name) name = reinterpret_cast<decltype(name)>(library.find(HSO_SYMBOL(name)))

void open_cuda_libraries() {
  static std::mutex opening;
  const std::lock_guard guard(opening);
  if (opened) return;
  {
    const SharedLibrary library(fmt::format("libcublas.so.{}", CUBLAS_VER_MAJOR));
    HSO_CUBLAS_FUNCTIONS(HSO_FIND)
  }
  const SharedLibrary library(fmt::format("libcusolver.so.{}", CUSOLVER_VER_MAJOR));
  HSO_CUSOLVER_FUNCTIONS(HSO_FIND)
  opened = true;
}

bool cuda_libraries_are_open() { return opened; }

}  // namespace hso::detail
