// SPDX-License-Identifier: Apache-2.0
//
// The emulated device itself: what it promises, and that every rule it guards is guarded.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "emulated.hpp"
#include "faulty_kernels.hpp"

namespace hso {
namespace {

using emulated::Schedule;
using test::Fault;
using test::launch_faulty;

class EmulatedDevice : public testing::Test {
 protected:
  void SetUp() override {
    before_ = emulated::living();
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&x_), kN * sizeof(float)), cudaSuccess);
    ASSERT_EQ(cudaHostAlloc(reinterpret_cast<void**>(&pinned_), kN * sizeof(float), 0), cudaSuccess);
  }
  void TearDown() override {
    emulated::set_checking(false);
    emulated::set_schedule(Schedule::lazy);
    cudaFreeHost(pinned_);
    cudaFree(x_);
    cudaStreamDestroy(stream_);
    EXPECT_EQ(emulated::living(), before_);
  }
  void upload(float value) {
    const std::vector<float> host(kN, value);
    cudaMemcpyAsync(x_, host.data(), kN * sizeof(float), cudaMemcpyHostToDevice, stream_);
  }
  std::vector<float> download() {
    std::vector<float> host(kN);
    cudaMemcpyAsync(host.data(), x_, kN * sizeof(float), cudaMemcpyDeviceToHost, stream_);
    return host;
  }
  void run(Fault fault) {
    launch_faulty(fault, x_, kN, stream_);
    cudaStreamSynchronize(stream_);
  }

  static constexpr int kN = 200;
  emulated::Living before_;
  cudaStream_t stream_ = nullptr;
  float* x_ = nullptr;
  float* pinned_ = nullptr;
};
using EmulatedDeviceDeathTest = EmulatedDevice;

TEST_F(EmulatedDevice, RunsKernelsInTheOrderOfTheStream) {
  for (const Schedule schedule : {Schedule::lazy, Schedule::eager, Schedule::random}) {
    emulated::set_schedule(schedule, 5);
    upload(1);
    for (int i = 0; i < 10; ++i) launch_faulty(Fault::none, x_, kN, stream_);
    EXPECT_EQ(download(), std::vector<float>(kN, 11));
  }
}

TEST_F(EmulatedDevice, WhatIsNotWaitedForHasNotHappened) {
  std::fill_n(pinned_, kN, 3.0f);
  upload(1);
  cudaMemcpyAsync(pinned_, x_, kN * sizeof(float), cudaMemcpyDeviceToHost, stream_);
  EXPECT_EQ(pinned_[7], 3);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(pinned_[7], 1);
}

TEST_F(EmulatedDevice, PinnedMemoryIsReadWhenTheCopyRuns) {
  pinned_[0] = 1;
  cudaMemcpyAsync(x_, pinned_, sizeof(float), cudaMemcpyHostToDevice, stream_);
  pinned_[0] = 2;  // too early: the copy has not happened
  EXPECT_EQ(download()[0], 2);
}

TEST_F(EmulatedDevice, EventsWaitForTheirOwnWorkAlone) {
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  upload(1);
  cudaMemcpyAsync(pinned_, x_, sizeof(float), cudaMemcpyDeviceToHost, stream_);
  cudaEventRecord(event, stream_);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  cudaMemcpyAsync(pinned_ + 1, x_, sizeof(float), cudaMemcpyDeviceToHost, stream_);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(pinned_[0], 1);
  EXPECT_NE(pinned_[1], 1);
  cudaEventDestroy(event);
}

TEST_F(EmulatedDevice, StreamsWaitForEventsOfOthers) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    emulated::set_schedule(Schedule::random, seed);
    cudaStream_t other = nullptr;
    cudaEvent_t event = nullptr;
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    upload(1);
    cudaEventRecord(event, stream_);
    cudaStreamWaitEvent(other, event, 0);
    launch_faulty(Fault::none, x_, kN, other);
    cudaStreamSynchronize(other);
    EXPECT_EQ(download(), std::vector<float>(kN, 2));
    cudaEventDestroy(event);
    cudaStreamDestroy(other);
  }
}

TEST_F(EmulatedDevice, GraphsReplayTheirWork) {
  upload(0);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
  launch_faulty(Fault::none, x_, kN, stream_);
  launch_faulty(Fault::none, x_, kN, stream_);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(download()[0], 0) << "a capture runs nothing";
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  emulated::reset_ledger();
  for (int i = 0; i < 3; ++i) cudaGraphLaunch(executable, stream_);
  EXPECT_EQ(download(), std::vector<float>(kN, 6));
  EXPECT_EQ(emulated::ledger().graph_launches, 3);
  EXPECT_EQ(emulated::ledger().graph_nodes, 6);
  EXPECT_EQ(emulated::ledger().launches, 0);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
}

TEST_F(EmulatedDevice, WaitsInsideACaptureEndIt) {
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph, nullptr);
  cudaGetLastError();
}

TEST_F(EmulatedDevice, FailsWhereItIsTold) {
  upload(1);
  emulated::fail(emulated::Site::launch, 2);
  EXPECT_EQ(launch_faulty(Fault::none, x_, kN, stream_), cudaSuccess);
  EXPECT_EQ(launch_faulty(Fault::none, x_, kN, stream_), cudaErrorLaunchFailure);
  EXPECT_EQ(launch_faulty(Fault::none, x_, kN, stream_), cudaSuccess);
  EXPECT_TRUE(emulated::has_failed());
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(download()[0], 3);
  emulated::fail(emulated::Site::lost, 1);
  EXPECT_NE(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_NE(cudaStreamSynchronize(stream_), cudaSuccess);
  emulated::recover();
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
}

TEST_F(EmulatedDeviceDeathTest, TheHostCannotTouchDeviceMemory) {
  EXPECT_DEATH(std::memset(x_, 0, 4), "the host touched device memory");
  EXPECT_DEATH(std::memcpy(pinned_, x_, 4), "the host touched device memory");
}

TEST_F(EmulatedDeviceDeathTest, CopiesStayInsideTheirBlocks) {
  const auto copy = [&](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    cudaMemcpyAsync(to, from, bytes, kind, stream_);
    cudaStreamSynchronize(stream_);
  };
  std::vector<float> host(2 * kN);
  EXPECT_DEATH(copy(x_, host.data(), (kN + 1) * 4, cudaMemcpyHostToDevice), "of a block of 800");
  EXPECT_DEATH(copy(host.data(), x_ + 1, kN * 4, cudaMemcpyDeviceToHost), "of a block of 800");
  EXPECT_DEATH(copy(pinned_, x_, 4, cudaMemcpyDeviceToDevice), "no device memory");
  EXPECT_DEATH(copy(x_, x_ + 1, 4, cudaMemcpyHostToDevice), "is device memory");
}

TEST_F(EmulatedDeviceDeathTest, MemoryGoesBackOnceAndAsItCame) {
  EXPECT_DEATH(cudaFree(x_ + 64), "not the beginning");
  EXPECT_DEATH(cudaFree(pinned_), "not the beginning");
  EXPECT_DEATH((cudaFree(x_), cudaFree(x_)), "not the beginning");
  EXPECT_DEATH(cudaFreeAsync(x_, stream_), "no live block of a pool");
}

TEST_F(EmulatedDeviceDeathTest, NobodyUsesTheDefaultStream) {
  EXPECT_DEATH(launch_faulty(Fault::none, x_, kN, nullptr), "default stream");
  EXPECT_DEATH(cudaStreamSynchronize(nullptr), "default stream");
}

TEST_F(EmulatedDeviceDeathTest, ExecutablesOutliveTheirLaunches) {
  EXPECT_DEATH(
      {
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t executable = nullptr;
        cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
        launch_faulty(Fault::none, x_, kN, stream_);
        cudaStreamEndCapture(stream_, &graph);
        cudaGraphInstantiate(&executable, graph, 0);
        cudaGraphLaunch(executable, stream_);
        cudaGraphExecDestroy(executable);
      },
      "still queued");
}

#ifndef __SANITIZE_ADDRESS__  // then single accesses of kernels are not seen: CMakeLists.txt
TEST_F(EmulatedDevice, CountsTheBytesThatKernelsTouch) {
  upload(1);
  cudaStreamSynchronize(stream_);
  emulated::reset_ledger();
  emulated::set_tracing(true);
  run(Fault::none);
  emulated::set_tracing(false);
  EXPECT_EQ(emulated::ledger().kernel_bytes, 2 * kN * 4) << "each word is read once and written once";
}

TEST_F(EmulatedDeviceDeathTest, ReleasedMemoryIsOutOfReach) {
  EXPECT_DEATH(
      {
        launch_faulty(Fault::none, x_, kN, stream_);
        cudaFree(x_);
        launch_faulty(Fault::none, x_, kN, stream_);
        cudaStreamSynchronize(stream_);
      },
      "released block");
}

TEST_F(EmulatedDeviceDeathTest, KernelsStayInsideTheirBlocks) {
  EXPECT_DEATH(run(Fault::one_too_far), "a kernel touched 4 bytes");
  EXPECT_DEATH(run(Fault::before_the_start), "a kernel touched 4 bytes");
}

TEST_F(EmulatedDeviceDeathTest, AccessesAreAligned) {
  upload(1);
  EXPECT_DEATH(run(Fault::misaligned), "misaligned address");
}

TEST_F(EmulatedDeviceDeathTest, RacesAreErrorsWhileChecking) {
  emulated::set_checking(true);
  upload(1);
  run(Fault::none);
  for (const Fault fault : {Fault::same_word, Fault::neighbour, Fault::shared_word, Fault::wrong_block_order})
    EXPECT_DEATH(run(fault), "race for a word") << static_cast<int>(fault);
}
#endif

TEST_F(EmulatedDeviceDeathTest, BlocksWaitTogether) {
  EXPECT_DEATH(run(Fault::missing_barrier), "ended while others wait");
  EXPECT_DEATH(run(Fault::other_barrier), "wait in __syncthreads at lines");
  EXPECT_DEATH(run(Fault::shared_overflow), "behind the shared memory");
}

}  // namespace
}  // namespace hso
