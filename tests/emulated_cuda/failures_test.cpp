// SPDX-License-Identifier: Apache-2.0
//
// Every call of cuda/ that can fail is told to, one after the other: parameters stay as they were, nothing is lost, and
// the error is of the documented kind.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "emulated.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/network_setting.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"

namespace hso::test {
namespace {

using emulated::Site;

/// Runs `work` with the first call of the site failing, then the second, until none is left to fail. In between the
/// device is well again. `work` must leave nothing behind; returns how many calls failed.
int walk(Site site, const std::function<void()>& work) {
  const emulated::Living before = emulated::living();
  int failures = 0;
  for (std::int64_t nth = 1;; nth += 1 + nth / 40) {  // all of the first 40, then ever fewer
    emulated::fail(site, nth);
    try {
      work();
    } catch (const MemoryError&) {
      EXPECT_TRUE(site == Site::allocation || site == Site::any || site == Site::library) << "call " << nth;
    } catch (const DeviceError&) {
      EXPECT_NE(site, Site::allocation) << "call " << nth;
    }
    const bool failed = emulated::has_failed();
    emulated::recover();
    EXPECT_EQ(emulated::living(), before) << "call " << nth;
    if (!failed) return failures;
    ++failures;
  }
}

constexpr Site kSites[] = {Site::allocation, Site::launch, Site::library, Site::copy,
                           Site::graph,      Site::wait,   Site::any,     Site::lost};

class EmulatedFailures : public testing::TestWithParam<const char*> {
 protected:
  void TearDown() override { emulated::recover(); }
};

std::string word_of(const testing::TestParamInfo<const char*>& method) {
  std::string name = method.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Methods, EmulatedFailures,
                         testing::Values("sgd", "adam", "hvp", "kfac", "hso", "hso.kfac", "hso.cg", "hso.lowrank",
                                         "lbfgs"),
                         word_of);

/// Theta after each of three steps without failures.
std::vector<Numbers> path(const std::string& optimizer) {
  const auto device = Context::create("cuda");
  Setting<double> s(*device, "mlp:3-4-3:tanh", LossKind::cross_entropy, 12);
  auto f = s.objective();
  const auto method = make_optimizer<double>(optimizer);
  std::vector<Numbers> points{widen(s.theta.download())};
  for (int i = 0; i < 3; ++i) {
    method->step(f, s.theta.data());
    points.push_back(widen(s.theta.download()));
  }
  return points;
}

/// A failed call is an error of the step or is made up for; theta is at the end of the last whole step.
TEST_P(EmulatedFailures, AStepMovesThetaOnceOrNotAtAll) {
  const std::vector<Numbers> points = path(GetParam());
  for (const Site site : kSites) {
    SCOPED_TRACE(testing::Message() << "site " << static_cast<int>(site));
    const int failed_calls = walk(site, [&] {
      const auto device = Context::create("cuda");
      Setting<double> s(*device, "mlp:3-4-3:tanh", LossKind::cross_entropy, 12);
      auto f = s.objective();
      const auto method = make_optimizer<double>(GetParam());
      std::size_t whole = 0;
      const auto expect_point = [&] {
        if (site == Site::lost) return;  // then nothing can be read
        const Numbers theta = widen(s.theta.download());
        // A queued step has moved theta when only its outcome cannot be read.
        const bool moved = whole < 3 && theta == points[whole + 1];
        EXPECT_TRUE(theta == points[whole] || moved) << "after " << whole << " steps";
      };
      try {
        for (; whole < 3; ++whole) method->step(f, s.theta.data());
      } catch (const Error&) {
        if (emulated::has_failed()) expect_point();
        throw;
      }
      expect_point();
    });
    EXPECT_GT(failed_calls, 0);
  }
}

TEST(EmulatedFailuresOfSolvers, EveryCallOfEverySolver) {
  for (const Site site : kSites) {
    walk(site, [] {
      const auto device = Context::create("cuda");
      auto& ops = device->ops<double>();
      constexpr Index kN = 6;
      std::vector<double> a(kN * kN, 0.1);
      for (std::size_t i = 0; i < kN; ++i) a[i * kN + i] = 2 + static_cast<double>(i);
      Buffer<double> matrix(*device, a), copy(*device, a), w(*device, 3 * kN), z(*device, kN * kN);
      ops.potrf(kN, matrix.data());
      ops.potrs(kN, 1, matrix.data(), w.data());
      ops.potri(kN, matrix.data());
      ops.syevd(kN, copy.data(), w.data(), true);
      copy.upload(a);
      ops.syevd_range(kN, copy.data(), 1, 3, w.data(), z.data());
      copy.upload(a);
      ops.syevd_batched(kN / 2, 3, copy.data(), w.data(), true);
      std::unique_ptr<Readback> late = device->make_readback(4);
      ops.dots_on_device(2, kN, w.data(), kN, w.data(), kN, w.data());
      late->post(w.data(), 2);
      late->values();
    });
  }
}

/// The program ends with the documented code: 4 when memory ran out, 6 when the device was lost; a run directory is
/// whole or not there.
TEST(EmulatedFailuresOfTheProgram, ExitCodes) {
  const TempDir dir;
  const std::string data = write_tiny_data(dir);
  int run = 0;
  const auto train = [&](Site site, std::int64_t nth) {
    emulated::fail(site, nth);
    const ProgramResult r = run_program({"train", "--device", "cuda", "--model", "mlp:2-4-2:tanh", "--data", data,
                                         "--steps", "3", "--out", dir.file("run" + std::to_string(run++))});
    const bool failed = emulated::has_failed();
    emulated::recover();
    return std::pair{r, failed};
  };
  const auto [plain, none] = train(Site::any, 0);
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_NE((plain.out + plain.err).find("emulated"), std::string::npos);
  int memory = 0, lost = 0;
  for (std::int64_t nth = 1;; nth += 1 + nth / 8) {
    const auto [out, failed] = train(Site::allocation, nth);
    if (!failed) break;
    EXPECT_TRUE(out.exit_code == 4 || out.exit_code == 0) << out.err;  // 0: a second try had room
    memory += out.exit_code == 4;
  }
  for (std::int64_t nth = 1;; nth += 1 + nth / 8) {
    const auto [out, failed] = train(Site::lost, nth);
    if (!failed) break;
    EXPECT_EQ(out.exit_code, 6) << out.err;
    ++lost;
  }
  EXPECT_GT(memory, 5);
  EXPECT_GT(lost, 20);
}

}  // namespace
}  // namespace hso::test
