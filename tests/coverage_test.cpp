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

/// Forms of a block of ones with vectors of signs are a few multiples of one number, and a few samples may all be
/// equal.
TEST(Coverage, OfSparseMatricesOfRankOneWithFewProbes) {
  const auto context = Context::create("cpu");
  constexpr int kSeeds = 800;
  for (const auto& [block, probes] : {std::pair{2, 5}, std::pair{4, 15}}) {
    SCOPED_TRACE(block);
    std::vector<double> matrix(32 * 32, 0.0);
    for (int i = 0; i < block; ++i)
      for (int j = 0; j < block; ++j) matrix[static_cast<std::size_t>(i * 32 + j)] = 1;
    DenseOperator<double> a(*context, 32, matrix);
    int traces = 0, densities = 0, norms = 0;
    const auto misses = [](const Estimate& e, double truth) { return !(e.low <= truth && truth <= e.high); };
    for (int s = 0; s < kSeeds; ++s) {
      const auto seed = static_cast<std::uint64_t>(s);
      traces += misses(trace(a, {.method = TraceMethod::hutchinson, .products = probes, .seed = seed}), block);
      densities += misses(spectral_density(a, {.probes = probes, .steps = 3, .seed = seed}).trace(), block);
      norms += misses(frobenius_squared(a, probes, seed), block * block);
    }
    for (const int count : {traces, densities, norms}) EXPECT_LE(count, most_misses(kSeeds, 0.99, 1e-6));
  }
}

/// P(X > 6) of 40 trials at 1 % is 1.4e-7, P(X > 5) 2.9e-6.
TEST(Coverage, TheBoundIsTheBinomialOne) {
  EXPECT_EQ(most_misses(40, 0.99, 1e-6), 6);
  EXPECT_EQ(most_misses(1, 0.99, 0.5), 0);
  EXPECT_EQ(most_misses(1, 0.99, 1e-3), 1);
}

}  // namespace
}  // namespace hso::test
