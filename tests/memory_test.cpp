// SPDX-License-Identifier: Apache-2.0
//
// A loop of products allocates nothing after its first round, on the device or in the process.
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

#include "backend/process_memory.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"

namespace hso {
namespace {

class MemoryTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, MemoryTest, testing::ValuesIn(test::contexts()), test::device_word);

/// Resident pages of this process; always -1 where that says nothing: AddressSanitizer keeps what was freed.
Index resident_pages() {
#ifdef __SANITIZE_ADDRESS__
  return -1;
#endif
  std::ifstream file("/proc/self/statm");
  Index all = 0, resident = -1;
  file >> all >> resident;
  return resident;
}

TEST_P(MemoryTest, AThousandProductsLeaveDeviceAndResidentMemoryFlat) {
  constexpr Index kRows = 3, kLanes = 2;
  const Network<float> network = build_network<float>(parse_model("digits_cnn"), LossKind::cross_entropy);
  const Index n = network.graph.parameter_count();
  const auto start = initial_parameters(network.parameters, Initialization::glorot, 0);
  const std::vector<float> theta_host(start.begin(), start.end());
  Buffer<float> theta(context(), Span<const float>(theta_host));
  Buffer<float> v(context(), Span<const float>(test::normal_numbers<float>(kLanes * n, 1))), hv(context(), kLanes * n);
  Tape<float> tape(context(), network.graph, kRows, kLanes);
  tape.bind(test::normal_numbers<float>(kRows * network.input.size(), 2), std::vector<float>(kRows, 3));
  const auto round = [&] {
    tape.linearize(theta.data(), nullptr);
    tape.product(Curvature::hessian, vector_view<const float>(v.data(), n, kLanes), vector_view(hv.data(), n, kLanes));
  };
  for (int i = 0; i < 50; ++i) round();  // caches of the allocator and the libraries fill
  context().synchronize();
  const Index live = context().allocated_bytes(), made = context().allocation_count(), pages = resident_pages();
  for (int i = 0; i < 1000; ++i) round();
  context().synchronize();
  EXPECT_EQ(context().allocated_bytes(), live);
  EXPECT_EQ(context().allocation_count(), made);
  // One leaked buffer of 100 bytes a round would be 25 pages; other threads of the test program may touch a few.
  EXPECT_LE(resident_pages() - pages, 16) << "pages of " << sysconf(_SC_PAGESIZE) << " bytes";
}

/// Ends with the test.
struct Limit {
  explicit Limit(Index bytes) { detail::limit_memory(bytes); }
  ~Limit() { detail::limit_memory(0); }
};

TEST_P(MemoryTest, ALimitBoundsWhatIsFreeAndSaysWhatWouldFit) {
  constexpr Index kLimit = Index{200} << 20, kHalf = kLimit / 2, kSlack = Index{16} << 20;
  const auto square = [](Index n) { return n * n; };
  const std::unique_ptr<Context> fresh = Context::create(context().name());
  const Limit limit(kLimit);
  EXPECT_LE(fresh->memory().free_bytes, kLimit);
  EXPECT_GE(fresh->memory().free_bytes, kLimit - kSlack);
  const Buffer<char> half(*fresh, kHalf);
  EXPECT_LE(fresh->memory().free_bytes, kHalf);
  EXPECT_GE(fresh->memory().free_bytes, kHalf - kSlack);
  EXPECT_NO_THROW(require_memory(*fresh, "a square", 8000, square));
  const std::string refused = test::message_of<MemoryError>([&] { require_memory(*fresh, "a square", 11000, square); });
  EXPECT_TRUE(test::contains(refused, "n = 11000 needs 121000000", "the limit of 209715200", "would fit")) << refused;
}

/// Data are converted in chunks of 2^20 numbers.
TEST_P(MemoryTest, DataOfMoreThanOneChunkArriveWhole) {
  constexpr Index kRows = 1100, kWidth = 1000;
  Dataset data;
  data.size = kRows;
  data.input_shape = Shape{kWidth};
  data.inputs = test::normal_numbers<double>(kRows * kWidth, 3);
  data.target_shape = Shape{1};
  data.targets = test::normal_numbers<double>(kRows, 4);
  const Network<double> network = build_network<double>(parse_model("mlp:1000-1"), LossKind::squared_error);
  const DeviceData<double> placed(context(), network, data);
  EXPECT_EQ(placed.inputs.download(), data.inputs);
  EXPECT_EQ(placed.targets.download(), data.targets);
}

}  // namespace
}  // namespace hso
