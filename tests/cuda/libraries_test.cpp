// SPDX-License-Identifier: Apache-2.0
//
// cuBLAS and cuSOLVER as they are opened for a CUDA context. They are opened here without a device.
#include "cuda_libraries.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "backend/cuda_factory.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::detail {
namespace {

/// The message of the DeviceError that `call` must throw.
std::string device_error(const std::function<void()>& call) {
  try {
    call();
  } catch (const DeviceError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no DeviceError";
  return {};
}

TEST(CudaLibraries, HaveEveryFunctionThatIsCalled) {
  ASSERT_NO_THROW(open_cuda_libraries());
  ASSERT_TRUE(cuda_libraries_are_open());
#define HSO_EXPECT_FOUND(name) EXPECT_NE(name, nullptr) << #name
  HSO_CUBLAS_FUNCTIONS(HSO_EXPECT_FOUND)
  HSO_CUSOLVER_FUNCTIONS(HSO_EXPECT_FOUND)
}

TEST(CudaLibraries, AreOfTheVersionOfTheHeaders) {
  open_cuda_libraries();
  int blas = 0, solver = 0;
  ASSERT_EQ(cublasGetProperty(MAJOR_VERSION, &blas), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cusolverGetProperty(MAJOR_VERSION, &solver), CUSOLVER_STATUS_SUCCESS);
  EXPECT_EQ(blas, CUBLAS_VER_MAJOR);
  EXPECT_EQ(solver, CUSOLVER_VER_MAJOR);
  EXPECT_STREQ(cublasGetStatusName(CUBLAS_STATUS_ALLOC_FAILED), "CUBLAS_STATUS_ALLOC_FAILED");
}

TEST(CudaLibraries, OneThatIsMissingIsADeviceErrorThatSaysWhatToInstall) {
  const std::string message = device_error([] { SharedLibrary("libcublas.so.0"); });
  EXPECT_TRUE(message.starts_with("libcublas.so.0 cannot be opened: ")) << message;
  for (const char* part : {"/libcublas.so.0: cannot open shared object file", "; libcublas.so.0: cannot open",
                           "install", "libcublas-", "libcusolver-"})
    EXPECT_NE(message.find(part), std::string::npos) << part << " not in\n" << message;
}

TEST(CudaLibraries, OneThatLacksAFunctionIsADeviceErrorThatNamesBoth) {
  const SharedLibrary library("libc.so.6");
  EXPECT_NE(library.find("malloc"), nullptr);
  const std::string message = device_error([&] { library.find("cublasCreate_v2"); });
  EXPECT_TRUE(message.starts_with("libc.so.6 lacks cublasCreate_v2: ")) << message;
}

}  // namespace
}  // namespace hso::detail
