// SPDX-License-Identifier: Apache-2.0
//
// Contexts, memory accounting and the arena.
#include <gtest/gtest.h>

#include <cstring>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "support/contexts.hpp"

namespace hso {
namespace {

using detail::Scratch;

class BackendTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, BackendTest, testing::ValuesIn(test::contexts()), test::device_word);

TEST(ContextTest, UnknownWordsAreUsageErrorsThatNameThem) {
  for (const char* word : {"gpu", "", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "CPU"}) {
    try {
      Context::create(word);
      ADD_FAILURE() << "accepted '" << word << "'";
    } catch (const UsageError& e) {
      EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
    }
  }
}

TEST(ContextTest, ListsNameTheProcessorAndItsLibrary) {
  ASSERT_GE(list_devices().size(), 2u);
  EXPECT_TRUE(list_devices()[0].starts_with("cpu: "));
  EXPECT_TRUE(list_devices()[1].starts_with("cuda"));
  ASSERT_GE(list_libraries().size(), 2u);
  EXPECT_NE(list_libraries()[1].find("OpenBLAS"), std::string::npos);
}

TEST_P(BackendTest, AllocationsAreCountedAlignedAndGivenBack) {
  Context& c = context();
  const Index live = c.allocated_bytes(), made = c.allocation_count();
  {
    Buffer<double> buffer(c, 1000);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256, 0u);
    EXPECT_EQ(c.allocated_bytes() - live, 8000);
    Buffer<double> moved = std::move(buffer), none(c, 0);
    EXPECT_EQ(c.allocated_bytes() - live, 8000);
  }
  EXPECT_EQ(c.allocated_bytes(), live);
  EXPECT_EQ(c.allocation_count() - made, 1);
}

TEST_P(BackendTest, TooMuchMemoryIsRefusedWithTheNumbers) {
  const Index bytes = Index{1} << 50;
  try {
    context().allocate(bytes);
    FAIL();
  } catch (const MemoryError& e) {
    EXPECT_NE(std::string(e.what()).find(std::to_string(bytes)), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("free"), std::string::npos) << e.what();
  }
  EXPECT_THROW(context().allocate(-1), InputError);
}

TEST_P(BackendTest, CopiesGoThereAndBack) {
  const std::vector<double> host = test::normal_numbers<double>(1237, 1);
  Buffer<double> there(context(), host), also(context(), 1237);
  context().ops<double>().copy(1237, there.data(), also.data());
  EXPECT_EQ(also.download(), host);
}

TEST_P(BackendTest, RecordedLaunchesRun) {
  Buffer<float> x(context(), std::vector<float>{1, 2, 3});
  auto& ops = context().ops<float>();
  const std::unique_ptr<Recorded> recorded = context().make_recorded();
  const std::vector<std::uintptr_t> key{reinterpret_cast<std::uintptr_t>(x.data())};
  for (int i = 0; i < 3; ++i) recorded->run(key, [&] { ops.axpby(3, 1, x.data(), 1, x.data()); });
  EXPECT_EQ(x.download(), (std::vector<float>{8, 16, 24}));
}

TEST_P(BackendTest, ScratchIsReusedNestedAndAligned) {
  const auto c = Context::create(GetParam());
  void* first = nullptr;
  {
    Scratch outer(*c);
    first = outer.take<float>(10);
    Scratch inner(*c);
    float* second = inner.take<float>(3);
    EXPECT_NE(first, second);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 256, 0u);
    EXPECT_NE(inner.take<float>(0), nullptr);
  }
  Scratch again(*c);
  EXPECT_EQ(again.take<double>(5), first);
}

TEST_P(BackendTest, TheSecondRoundAllocatesNothing) {
  const auto c = Context::create(GetParam());
  const auto round = [&] {
    Scratch scratch(*c);
    for (Index n : {Index{1} << 18, Index{1} << 20, Index{3} << 18, Index{17}}) {
      Scratch nested(*c);
      double* a = scratch.take<double>(n);
      double* b = nested.take<double>(n / 2);
      c->ops<double>().fill(n, 1.0, a);  // the blocks must not overlap
      c->ops<double>().fill(n / 2, 2.0, b);
      EXPECT_EQ(c->ops<double>().dot(n, a, a), static_cast<double>(n));
    }
  };
  round();
  const Index made = c->allocation_count(), live = c->allocated_bytes();
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(c->allocation_count(), made);
  EXPECT_EQ(c->allocated_bytes(), live);
}

TEST_P(BackendTest, ReleasedScratchIsPoisoned) {
  std::vector<unsigned char> bytes(4000);
  Scratch holder(context());
  float* memory = nullptr;
  {
    Scratch scratch(context());
    memory = scratch.take<float>(1000);
    context().ops<float>().fill(1000, 1.0f, memory);
  }
  context().to_host(memory, bytes.data(), 4000);
  for (unsigned char byte : bytes) ASSERT_EQ(byte, 0xFF);
}

}  // namespace
}  // namespace hso
