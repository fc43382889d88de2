// SPDX-License-Identifier: Apache-2.0
//
//   hso_profile NETWORK [MEASURE] [REPEATS] [LANES]
//
// Where the time of one measure goes: every verb with its shapes, its seconds, its share, and for matrix products the
// rate as a share of a square product timed in turn. MEASURE: gradient, hvp_fresh, hvp_linearised, ggn, slq
// (two probes of 40 steps), dense.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "backend/processor_kernels.hpp"
#include "fixture.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "sampler.hpp"
#include "sgemm.hpp"
#include "timed_ops.hpp"

namespace {

using namespace hso;
using namespace hso::bench;

const NetCase& case_of(const std::string& name) {
  for (const NetCase& net : net_cases())
    if (net.name == name) return net;
  throw std::runtime_error(fmt::format("network '{}' is not in cases.cpp", name));
}

std::function<void()> measure(Fixture<float>& f, Buffer<float>& h, const std::string& name) {
  if (name == "gradient") return [&f] { f.gradient(); };
  if (name == "hvp_fresh") return [&f] { f.hvp_fresh(); };
  if (name == "hvp_linearised") return [&f] { f.hvp_linearised(); };
  if (name == "ggn") return [&f] { f.ggn(); };
  if (name == "slq")
    return [&f] {
      TapeHessian<float> hessian(f);
      spectral_density(hessian, {.probes = 2, .steps = 40});
    };
  if (name != "dense") throw std::runtime_error(fmt::format("measure '{}' is unknown", name));
  h = Buffer<float>(f.context, f.n() * f.n());
  return [&f, &h] { f.tape.dense(Curvature::hessian, h.data()); };
}

void print(const VerbTimes& times, double total, double seconds_per_mac, int runs) {
  std::vector<std::pair<std::string, VerbTime>> rows(times.begin(), times.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  fmt::print("{:>10} {:>7} {:>7} {:>6}  verb\n", "us", "share", "of gemm", "calls");
  for (const auto& [verb, t] : rows) {
    const double share = t.multiply_adds * seconds_per_mac / t.seconds;
    fmt::print("{:>10.1f} {:>6.1f}% {:>7} {:>6}  {}\n", 1e6 * t.seconds / runs, 100 * t.seconds / total,
               t.multiply_adds > 0 ? fmt::format("{:.2f}", share) : "", t.calls / runs, verb);
  }
}

int run(const std::vector<std::string>& words) {
  if (words.empty()) throw std::runtime_error("usage: hso_profile NETWORK [MEASURE] [REPEATS] [LANES]");
  const std::string name = words.size() > 1 ? words[1] : "gradient";
  const int repeats = words.size() > 2 ? std::atoi(words[2].c_str()) : 10;
  TimedContext context(device());
  Fixture<float> f(context, case_of(words[0]), words.size() > 3 ? std::atoi(words[3].c_str()) : 1);
  Buffer<float> h;
  const std::function<void()> body = measure(f, h, name);
  SquareGemm<float> square(device());
  f.linearise();
  body();  // first allocations
  context.times.clear();
  Timed own{body}, gemm{[&] { square.run(); }};
  sample(device(), {&own, &gemm}, {.rounds = repeats, .least_rounds = repeats, .budget = 0});
  const int runs = 2 + own.repeats * repeats;  // two to warm up
  double total = 0;
  for (const auto& [verb, t] : context.times) total += t.seconds;
  const double seconds_per_mac = median(gemm.seconds) / square.multiply_adds();
  fmt::print("{} {} on {}: {:.1f} us in verbs; square product {:.1f} GFLOP/s\n", words[0], name, device().description(),
             1e6 * total / runs, 2e-9 / seconds_per_mac);
  print(context.times, total, seconds_per_mac, runs);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  hso::detail::use_kernels_of_this_processor(argv);
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "hso_profile: {}\n", error.what());
    return 1;
  }
}
