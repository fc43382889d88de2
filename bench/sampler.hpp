// SPDX-License-Identifier: Apache-2.0
//
// Timing on a shared, noisy machine: what is compared runs alternately in one process, and medians of the pairwise
// ratios are reported, so that a slow minute hits both sides.
#pragma once

#include <functional>
#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso::bench {

/// Seconds of the wall clock, or of this process's processors with HSO_BENCH_CLOCK=cpu: on a crowded machine and with
/// one thread (OMP_NUM_THREADS=1) that leaves the neighbours' turns out. Never for a GPU.
double seconds_now();
bool counts_processor_time();

double median(std::vector<double> values);
/// Distance of the quartiles over the median.
double spread(std::vector<double> values);

struct Timed {
  std::function<void()> run;
  std::vector<double> seconds{};  ///< of one run, one entry for each round
  int repeats = 1;                ///< runs in one sample: short ones are repeated until a sample lasts milliseconds
};

struct SamplerOptions {
  int rounds = 15;       ///< at most
  int least_rounds = 3;  ///< whatever they take
  double budget = 6;     ///< seconds after which no new round starts
};

/// Warms every candidate up, then runs all of them once in each round. The device is idle when a clock is read.
void sample(Context& context, std::vector<Timed*> candidates, const SamplerOptions& options = {});

/// Median over the rounds of numerator / denominator, each round by itself.
double median_ratio(const Timed& numerator, const Timed& denominator);

/// From HSO_BENCH_ROUNDS and HSO_BENCH_BUDGET where they are set.
SamplerOptions sampler_options();

}  // namespace hso::bench
