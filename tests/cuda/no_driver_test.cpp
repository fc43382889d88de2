// SPDX-License-Identifier: Apache-2.0
//
// A build with CUDA on a machine without a device: it runs on the CPU, and says why where CUDA is asked for.
#include <gtest/gtest.h>

#include "backend/cuda_factory.hpp"
#include "hsogpu/core/context.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso {
namespace {

class NoDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (!presence_.devices.empty()) GTEST_SKIP() << "this machine has " << presence_.devices.front();
  }
  detail::CudaPresence presence_ = detail::cuda_presence();
};

TEST_F(NoDevice, AutoIsTheCpuAndWorks) {
  const auto context = Context::create("auto");
  EXPECT_EQ(context->name(), "cpu");
  EXPECT_FALSE(context->is_cuda());
  Buffer<float> x(*context, std::vector<float>{3, 4});
  EXPECT_EQ(context->ops<float>().nrm2(2, x.data()), 5);
}

TEST_F(NoDevice, AskingForCudaIsADeviceErrorThatSaysWhy) {
  ASSERT_FALSE(presence_.reason.empty());
  for (const char* device : {"cuda", "cuda:0", "cuda:3"}) try {
      Context::create(device);
      ADD_FAILURE() << device << " was created";
    } catch (const DeviceError& error) {
      EXPECT_NE(std::string(error.what()).find(presence_.reason), std::string::npos) << error.what();
    }
}

TEST(CudaBuild, NamesItsLibraries) {
  std::string all;
  for (const std::string& line : list_libraries()) all += line + '\n';
  for (const char* name : {"CUDA runtime 1", "cuBLAS 1", "cuSOLVER 1"})
    EXPECT_NE(all.find(name), std::string::npos) << name << " not in\n" << all;
}

}  // namespace
}  // namespace hso
