// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "backend/cuda_factory.hpp"
#include "support/contexts.hpp"

namespace hso::test {

std::vector<std::string> contexts() { return {"cuda"}; }

namespace {

class NeedsDevice : public testing::Environment {
 public:
  void SetUp() override {
    const detail::CudaPresence presence = detail::cuda_presence();
    if (presence.devices.empty()) GTEST_SKIP() << "no CUDA device here: " << presence.reason;
  }
};

const auto* const kNeedsDevice = testing::AddGlobalTestEnvironment(new NeedsDevice);

}  // namespace
}  // namespace hso::test
