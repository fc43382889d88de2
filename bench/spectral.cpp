// SPDX-License-Identifier: Apache-2.0
//
// Lanczos and stochastic Lanczos quadrature against the products they are made of.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "fixture.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "registry.hpp"
#include "sampler.hpp"

namespace hso::bench {
namespace {

using benchmark::State;

SamplerOptions few_rounds() {
  SamplerOptions o = sampler_options();
  o.rounds = std::min(o.rounds, 3);
  o.least_rounds = 1;
  return o;
}

/// 10 probes of 80 steps against 800 single products at a linearised point.
void run_density(State& state, const NetCase& net) {
  constexpr Index kProbes = 10, kSteps = 80;
  Fixture<float> one(device(), net);
  const Index useful = Tape<float>::useful_lanes(device(), one.network.graph, net.batch);
  Fixture<float> many(device(), net, std::min(kProbes, useful));
  one.gradient();
  many.linearise();
  TapeHessian<float> h(many);
  // Probes that run one after the other are timed two at a time: short turns, so that a slow moment hits both sides.
  const Index probes = useful == 1 ? 2 : kProbes;
  const auto one_by_one = [&] {
    for (Index i = 0; i < kSteps; ++i) one.hvp_linearised();
  };
  Timed own{[&] { spectral_density(h, {.probes = probes, .steps = kSteps}); }}, singles{one_by_one},
      gradient{[&] { one.gradient(); }};
  SamplerOptions options = sampler_options();
  options.least_rounds = 1;
  for (auto _ : state) {
    sample(device(), {&gradient, &singles, &own}, options);
    state.SetIterationTime(median(own.seconds) * static_cast<double>(kProbes) / static_cast<double>(probes));
  }
  const double each = 1 / static_cast<double>(probes);
  state.counters["in_gradients"] = median_ratio(own, gradient) * each * static_cast<double>(kProbes);
  state.counters["of_singles"] = median_ratio(own, singles) * each;
  state.counters["spread"] = spread(own.seconds);
}

/// One step of Lanczos, the mean of the first 60, against a product and four sweeps over the basis at copy speed.
void run_lanczos(State& state, const NetCase& net) {
  constexpr Index kSteps = 60;
  Fixture<float> one(device(), net);
  one.gradient();
  TapeHessian<float> h(one);
  const Index n = one.n(), copied = Index{1} << 24;
  Buffer<float> from(device(), copied), to(device(), copied);
  LanczosOptions o;
  o.count = kSteps - 3;  // more than converge: every step is taken
  o.basis = std::min(n, kSteps + 10);
  o.max_products = kSteps;
  o.tolerance = 1e-30;
  o.vectors = false;
  Timed own{[&] { lanczos(h, o); }}, single{[&] { one.hvp_linearised(); }}, gradient{[&] { one.gradient(); }},
      copy{[&] { device().ops<float>().copy(copied, from.data(), to.data()); }};
  for (auto _ : state) {
    sample(device(), {&gradient, &single, &copy, &own}, few_rounds());
    state.SetIterationTime(median(own.seconds) / static_cast<double>(kSteps));
  }
  // Two passes, each reads the basis twice; a copy of m numbers moves 2 m.
  const double numbers = 4 * static_cast<double>(n) * static_cast<double>(kSteps * (kSteps + 1) / 2);
  const double sweeps = numbers / (2 * static_cast<double>(copied)) * median(copy.seconds);
  state.counters["in_gradients"] = median_ratio(own, gradient) / static_cast<double>(kSteps);
  state.counters["over_floor"] = median(own.seconds) / (static_cast<double>(kSteps) * median(single.seconds) + sweeps);
  state.counters["sweep_share"] = sweeps / median(own.seconds);
  state.counters["spread"] = spread(own.seconds);
}

void add(const std::string& measure, const NetCase& net, void (*body)(State&, const NetCase&)) {
  benchmark::RegisterBenchmark(fmt::format("{}/{}/float32", measure, net.name).c_str(),
                               [=](State& state) { body(state, net); })
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_spectral() {
  for (const NetCase& net : net_cases()) {
    add("slq_10x80", net, run_density);
    add("lanczos_step", net, run_lanczos);
  }
}

}  // namespace hso::bench
