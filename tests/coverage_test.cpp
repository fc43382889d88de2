// SPDX-License-Identifier: Apache-2.0
//
// Every interval that is stated of a matrix holds the true value as often as it says.
#include <gtest/gtest.h>

#include <map>

#include "support/contexts.hpp"
#include "support/coverage_cases.hpp"
#include "support/dense_operator.hpp"

namespace hso::test {
namespace {

class CoverageTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CoverageTest, testing::ValuesIn(contexts()), device_word);

/// A device finds what a CPU finds; the emulated one takes its time.
int seeds_on(Context& context) { return context.is_cuda() ? 3 : 40; }

template <class T>
void expect_coverage(Context& context, const CoverageCase& c) {
  SCOPED_TRACE(c.name);
  DenseOperator<T> a(context, c.n, c.matrix);
  const int seeds = seeds_on(context);
  std::map<std::string, std::pair<int, int>> counts;  // intervals, misses
  for (int seed = 0; seed < seeds; ++seed)
    for (const Observation& o :
         observe<T>(a, c, {.probes = 12, .steps = 6, .most_steps = 24}, static_cast<std::uint64_t>(seed))) {
      ASSERT_TRUE(std::isfinite(o.estimate.value + o.estimate.standard_error)) << o.name;
      ++counts[o.name].first;
      counts[o.name].second += !o.covers();
    }
  // Several points of one curve miss together: as many misses as if each came so often.
  for (const auto& [name, count] : counts)
    EXPECT_LE(count.second, most_misses(seeds, 0.99, 1e-6) * count.first / seeds) << name;
}

TEST_P(CoverageTest, OfKnownSpectra) {
  for (const CoverageCase& c : coverage_cases(32)) {
    expect_coverage<double>(context(), c);
    expect_coverage<float>(context(), c);
  }
}

TEST_P(CoverageTest, OfATrainedNetwork) {
  for (const CoverageCase& c : trained_network_cases(1, 4)) expect_coverage<double>(context(), c);
}

/// P(X > 6) of 40 trials at 1 % is 1.4e-7, P(X > 5) 2.9e-6.
TEST(Coverage, TheBoundIsTheBinomialOne) {
  EXPECT_EQ(most_misses(40, 0.99, 1e-6), 6);
  EXPECT_EQ(most_misses(1, 0.99, 0.5), 0);
  EXPECT_EQ(most_misses(1, 0.99, 1e-3), 1);
}

}  // namespace
}  // namespace hso::test
