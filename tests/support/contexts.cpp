// SPDX-License-Identifier: Apache-2.0
#include "support/contexts.hpp"

#include <cstdlib>
#include <map>
#include <random>

namespace hso::test {

namespace {

std::map<std::string, std::unique_ptr<Context>> made;

/// Handles of a GPU must go before the libraries behind them do: before the process begins to end.
class ReleasesContexts : public testing::Environment {
 public:
  void TearDown() override { made.clear(); }
};

const auto* const kReleasesContexts = testing::AddGlobalTestEnvironment(new ReleasesContexts);

}  // namespace

Context& context(const std::string& device) {
  std::unique_ptr<Context>& entry = made[device];
  const bool exact = std::getenv("HSO_TEST_EXACT_SCRATCH") != nullptr;
  if (!entry) entry = Context::create(device, {.tf32 = false, .poison = true, .exact_scratch = exact});
  return *entry;
}

template <class T>
std::vector<T> normal_numbers(Index n, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<T> numbers(static_cast<std::size_t>(n));
  for (T& x : numbers) x = static_cast<T>(normal(engine));
  return numbers;
}

template std::vector<float> normal_numbers(Index, std::uint64_t);
template std::vector<double> normal_numbers(Index, std::uint64_t);

}  // namespace hso::test
