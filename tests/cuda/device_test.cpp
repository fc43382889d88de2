// SPDX-License-Identifier: Apache-2.0
//
// What only a CUDA device has: recorded launches, reductions that are cut into pieces, large index ranges.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

Context& cuda() { return test::context("cuda"); }

TEST(CudaDevice, RecordedLaunchesReplayOnNewData) {
  auto& ops = cuda().ops<double>();
  Buffer<double> x(cuda(), 1000), y(cuda(), 10);
  const auto recorded = cuda().make_recorded();
  const std::vector<std::uintptr_t> key{reinterpret_cast<std::uintptr_t>(x.data())};
  for (int run = 0; run < 6; ++run) {
    x.upload(test::normal_numbers<double>(1000, 40 + static_cast<std::uint64_t>(run)));
    recorded->run(key, [&] {
      ops.axpby(1000, 2, x.data(), 0, x.data());
      ops.sum_rows({1, 100, 10, x.data(), 1000, y.data(), 10, 0});
    });
    const auto in = test::normal_numbers<double>(1000, 40 + static_cast<std::uint64_t>(run));
    const auto sums = y.download();
    for (std::size_t j = 0; j < 10; ++j) {
      double sum = 0;
      for (std::size_t i = 0; i < 100; ++i) sum += 2 * in[i * 10 + j];
      ASSERT_NEAR(sums[j], sum, 1e-12) << "run " << run;
    }
  }
}

TEST(CudaDevice, ManyKeysAreForgottenAndRecordedAgain) {
  auto& ops = cuda().ops<float>();
  Buffer<float> x(cuda(), 100);
  ops.fill(100, 0, x.data());
  const auto recorded = cuda().make_recorded();
  for (int round = 0; round < 3; ++round)
    for (Index k = 0; k < 100; ++k)
      for (int repeat = 0; repeat < 3; ++repeat) {
        const std::vector<std::uintptr_t> key{static_cast<std::uintptr_t>(k)};
        recorded->run(key, [&] { ops.for_each(1, 1, Axpby<float>{1, x.data() + k, 1, 1, x.data() + k, 1}); });
        if (round == 0 && repeat == 0) ops.fill(1, 1, x.data() + k);
      }
  for (float v : x.download()) EXPECT_EQ(v, 256.0f);  // 1, doubled eight times
}

TEST(CudaDevice, WhatCannotBeRecordedRunsPlainly) {
  auto& ops = cuda().ops<double>();
  Buffer<double> x(cuda(), std::vector<double>{3, 4});
  const auto recorded = cuda().make_recorded();
  const std::vector<std::uintptr_t> key{1};
  int runs = 0;
  for (int i = 0; i < 4; ++i)
    recorded->run(key, [&] {
      Buffer<double> made(cuda(), 2);
      ops.copy(2, x.data(), made.data());
      EXPECT_EQ(ops.nrm2(2, made.data()), 5);
      ++runs;
    });
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(x.download(), (std::vector<double>{3, 4}));
}

/// A graph would keep the address, and release the memory again with every replay.
TEST(CudaDevice, MemoryReleasedWhileRecordingGivesTheRecordingUp) {
  auto& ops = cuda().ops<double>();
  Buffer<double> x(cuda(), std::vector<double>{1, 3});
  const auto recorded = cuda().make_recorded();
  const std::vector<std::uintptr_t> key{1};
  int runs = 0;
  for (int i = 0; i < 5; ++i) {
    Buffer<double> spare(cuda(), 2);
    recorded->run(key, [&] {
      ops.axpby(2, 1, x.data(), 1, x.data());
      const Buffer<double> released = std::move(spare);
      ++runs;
    });
  }
  EXPECT_EQ(runs, 6) << "five launches, and the recording that was given up";
  EXPECT_EQ(x.download(), (std::vector<double>{32, 96}));
}

TEST(CudaDevice, ExceptionsPassThroughRecordedLaunches) {
  const auto recorded = cuda().make_recorded();
  const std::vector<std::uintptr_t> key{1};
  int calls = 0;
  const auto second_throws = [&] {
    if (++calls > 1) throw InputError("on purpose");
  };
  recorded->run(key, second_throws);
  EXPECT_THROW(recorded->run(key, second_throws), InputError);
  Buffer<float> x(cuda(), std::vector<float>{1});
  EXPECT_EQ(x.download()[0], 1);  // the stream still works
}

/// What leaves a sequence while it is being recorded says nothing about recording it: the next time it is.
TEST(CudaDevice, AnInterruptedRecordingIsMadeAnotherTime) {
  auto& ops = cuda().ops<double>();
  Buffer<double> x(cuda(), std::vector<double>{1, 3});
  const auto recorded = cuda().make_recorded();
  const std::vector<std::uintptr_t> key{1};
  int calls = 0;
  const auto second_is_left = [&] {
    ops.axpby(2, 1, x.data(), 1, x.data());
    if (++calls == 2) throw Interrupted();
  };
  recorded->run(key, second_is_left);
  EXPECT_THROW(recorded->run(key, second_is_left), Interrupted);
  EXPECT_EQ(x.download(), (std::vector<double>{2, 6})) << "what was recorded did not run";
  for (int i = 0; i < 3; ++i) recorded->run(key, second_is_left);
  EXPECT_EQ(calls, 3) << "recorded, and replayed from then on";
  EXPECT_EQ(x.download(), (std::vector<double>{16, 48}));
}

template <class T>
void expect_sums(Index lanes, Index rows, Index cols) {
  const std::vector<T> x = test::normal_numbers<T>(lanes * rows * cols, 50);
  std::vector<double> by_column(static_cast<std::size_t>(lanes * cols)), by_row(static_cast<std::size_t>(lanes * rows));
  for (Index l = 0; l < lanes; ++l)
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) {
        const auto v = static_cast<double>(x[static_cast<std::size_t>((l * rows + i) * cols + j)]);
        by_column[static_cast<std::size_t>(l * cols + j)] += v;
        by_row[static_cast<std::size_t>(l * rows + i)] += v;
      }
  Buffer<T> in(cuda(), x), columns(cuda(), lanes * cols), sums(cuda(), lanes * rows), again(cuda(), lanes * rows);
  auto& ops = cuda().ops<T>();
  ops.sum_rows({lanes, rows, cols, in.data(), rows * cols, columns.data(), cols, T(0)});
  ops.sum_columns({lanes, rows, cols, in.data(), rows * cols, sums.data(), rows, T(0)});
  ops.sum_columns({lanes, rows, cols, in.data(), rows * cols, again.data(), rows, T(0)});
  const double unit = 16 * static_cast<double>(std::numeric_limits<T>::epsilon());
  const auto found_columns = columns.download(), found_rows = sums.download();
  for (std::size_t i = 0; i < by_column.size(); ++i)
    ASSERT_NEAR(static_cast<double>(found_columns[i]), by_column[i], unit * static_cast<double>(rows))
        << "column " << i;
  for (std::size_t i = 0; i < by_row.size(); ++i)
    ASSERT_NEAR(static_cast<double>(found_rows[i]), by_row[i], unit * static_cast<double>(cols)) << "row " << i;
  EXPECT_EQ(found_rows, again.download());
}

TEST(CudaDevice, SumsOfManyShapes) {
  const Index shapes[][3] = {{1, 1, 1},      {1, 1024, 10},  {3, 999, 300},  {64, 33, 10}, {1, 5000, 1},
                             {2, 6, 100003}, {1, 20000, 33}, {1, 512, 1000}, {2, 3, 4097}, {5, 1000, 7}};
  for (const auto& [lanes, rows, cols] : shapes) {
    SCOPED_TRACE(testing::Message() << lanes << " x " << rows << " x " << cols);
    expect_sums<float>(lanes, rows, cols);
    expect_sums<double>(lanes, rows, cols);
  }
}

TEST(CudaDevice, DotsOfMoreLanesThanThePinnedBufferHolds) {
  constexpr Index kLanes = 2500, kN = 3;
  const auto x = test::normal_numbers<float>(kLanes * kN, 60);
  Buffer<float> in(cuda(), x);
  std::vector<double> dots(kLanes);
  cuda().ops<float>().dots(kLanes, kN, in.data(), kN, in.data(), kN, dots.data());
  for (std::size_t l = 0; l < kLanes; ++l) {
    double sum = 0;
    for (std::size_t i = 0; i < kN; ++i) sum += static_cast<double>(x[l * kN + i]) * static_cast<double>(x[l * kN + i]);
    ASSERT_NEAR(dots[l], sum, 1e-14 * sum);
  }
}

TEST(CudaDevice, LargestMagnitudeKeepsWhatIsNotFinite) {
  std::vector<float> x = test::normal_numbers<float>(1000003, 61);
  x[777777] = -123;
  Buffer<float> in(cuda(), x);
  auto& ops = cuda().ops<float>();
  EXPECT_EQ(ops.max_abs(1000003, in.data()), 123.0);
  for (float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::quiet_NaN()}) {
    x[5] = bad;
    in.upload(x);
    EXPECT_FALSE(std::isfinite(ops.max_abs(1000003, in.data())));
  }
}

TEST(CudaDevice, TransfersOfEverySizeArriveInOrder) {
  // Many a staging slot, two, one that fills it, and more than one holds.
  for (Index n : {Index{1}, Index{1000}, Index{50000}, Index{1} << 17, (Index{1} << 17) + 1, Index{3} << 20}) {
    std::vector<Buffer<double>> buffers;
    for (std::uint64_t b = 0; b < 12; ++b) {  // more than there are staging slots, and the memory of each goes at once
      const std::vector<double> host = test::normal_numbers<double>(n, 62 + b);
      buffers.emplace_back(cuda(), n).upload(host);
    }
    for (std::uint64_t b = 0; b < 12; ++b)
      ASSERT_EQ(buffers[b].download(), test::normal_numbers<double>(n, 62 + b)) << n << " numbers, upload " << b;
  }
}

TEST(CudaDevice, MemoryIsFlatOverManyAllocations) {
  { Buffer<float> warm(cuda(), 1 << 20); }
  cuda().synchronize();
  const Index before = cuda().memory().free_bytes;
  for (int i = 0; i < 1000; ++i) Buffer<float> again(cuda(), 1 << 20);
  cuda().synchronize();
  EXPECT_EQ(cuda().memory().free_bytes, before);
}

}  // namespace
}  // namespace hso
