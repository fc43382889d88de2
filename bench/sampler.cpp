// SPDX-License-Identifier: Apache-2.0
#include "sampler.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace hso::bench {
namespace {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() {
  std::timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Seconds of one run, from `repeats` in a row.
double time_once(Context& context, const Timed& t) {
  context.synchronize();
  const double start = seconds_now();
  for (int i = 0; i < t.repeats; ++i) t.run();
  context.synchronize();
  return (seconds_now() - start) / t.repeats;
}

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at), high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

void warm_up(Context& context, Timed& t) {
  constexpr double kShortest = 4e-3;
  t.repeats = 1;
  t.seconds.clear();
  time_once(context, t);
  const double seconds = time_once(context, t);
  t.repeats = static_cast<int>(std::clamp(std::ceil(kShortest / seconds), 1.0, 1000.0));
}

}  // namespace

bool counts_processor_time() {
  const char* word = std::getenv("HSO_BENCH_CLOCK");
  return word != nullptr && std::strcmp(word, "cpu") == 0;
}

double seconds_now() {
  static const bool processor = counts_processor_time();
  return processor ? processor_seconds() : wall_seconds();
}

double median(std::vector<double> values) {
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

double spread(std::vector<double> values) {
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return (quantile(values, 0.75) - quantile(values, 0.25)) / quantile(values, 0.5);
}

void sample(Context& context, std::vector<Timed*> candidates, const SamplerOptions& options) {
  for (Timed* t : candidates) warm_up(context, *t);
  const double start = wall_seconds();
  for (int round = 0; round < options.rounds; ++round) {
    if (round >= options.least_rounds && wall_seconds() - start > options.budget) break;
    for (Timed* t : candidates) t->seconds.push_back(time_once(context, *t));
  }
}

double median_ratio(const Timed& numerator, const Timed& denominator) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < numerator.seconds.size(); ++i)
    ratios.push_back(numerator.seconds[i] / denominator.seconds[i]);
  return median(ratios);
}

SamplerOptions sampler_options() {
  SamplerOptions options;
  if (const char* rounds = std::getenv("HSO_BENCH_ROUNDS")) options.rounds = std::max(1, std::atoi(rounds));
  if (const char* budget = std::getenv("HSO_BENCH_BUDGET")) options.budget = std::max(0.0, std::atof(budget));
  options.least_rounds = std::min(options.least_rounds, options.rounds);
  return options;
}

}  // namespace hso::bench
