// SPDX-License-Identifier: Apache-2.0
//
// Each benchmark is one iteration in which the measure, a gradient and the square product of matrices run alternately;
// its time is the median, and the counters compare inside the rounds.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <functional>

#include "reference.hpp"
#include "registry.hpp"
#include "sampler.hpp"
#include "sgemm.hpp"

namespace hso::bench {
namespace {

using benchmark::State;

/// What is timed beside a gradient, and its multiply-adds.
template <class T>
struct Measure {
  std::string name;
  void (Fixture<T>::*run)();
  double (Work::*work)() const;
};

template <class T>
const std::vector<Measure<T>>& measures() {
  static const std::vector<Measure<T>> list{{"gradient", &Fixture<T>::gradient, &Work::gradient},
                                            {"hvp_fresh", &Fixture<T>::hvp_fresh, &Work::hvp_fresh},
                                            {"hvp_linearised", &Fixture<T>::hvp_linearised, &Work::hvp_linearised},
                                            {"ggn", &Fixture<T>::ggn, &Work::ggn}};
  return list;
}

template <class T>
bool refused(State& state, const NetCase& net) {
  const double error = largest_error<T>(net), limit = net.kinks && sizeof(T) == 4 ? 1e-2 : kErrorLimit<T>;
  if (error <= limit) {
    state.counters["error"] = error;
    return false;
  }
  state.SkipWithError(fmt::format("{}: error {} against float64, at most {}", net.name, error, limit).c_str());
  return true;
}

void report(State& state, const Timed& own, const Timed& gradient, const Timed& square, double macs, double floor,
            double square_macs) {
  const double share = macs / square_macs / median_ratio(own, square);
  state.counters["gradient_seconds"] = median(gradient.seconds);
  state.counters["in_gradients"] = median_ratio(own, gradient);
  state.counters["floor"] = floor;
  state.counters["over_floor"] = median_ratio(own, gradient) / floor;
  state.counters["gemm_gflops"] = 2e-9 * square_macs / median(square.seconds);
  state.counters["gemm_share"] = share;
  state.counters["rounds"] = static_cast<double>(own.seconds.size());
  state.counters["spread"] = spread(own.seconds);
}

template <class T>
void run_measure(State& state, const NetCase& net, const Measure<T>& m) {
  if (refused<T>(state, net)) return;
  Fixture<T> f(device(), net);
  SquareGemm<T> square(device());
  GradientGemms<T> shapes(device(), net);
  Timed own{[&] { (f.*m.run)(); }}, gradient{[&] { f.gradient(); }}, gemm{[&] { square.run(); }},
      products{[&] { shapes.run(); }};
  const Work work = work_of(net);
  for (auto _ : state) {
    sample(device(), {&gradient, &own, &gemm, &products}, sampler_options());
    state.SetIterationTime(median(own.seconds));
  }
  const double macs = (work.*m.work)();
  report(state, own, gradient, gemm, macs, macs / work.gradient(), square.multiply_adds());
  if (shapes.applies()) state.counters["shape_gemm_share"] = macs / work.gradient() * median_ratio(products, own);
}

/// K directions in one traversal against K single products.
template <class T>
void run_lanes(State& state, const NetCase& net, Index lanes) {
  if (refused<T>(state, net)) return;
  Fixture<T> one(device(), net), many(device(), net, lanes);
  SquareGemm<T> square(device());
  one.gradient();
  many.linearise();
  Timed own{[&] { many.hvp_linearised(); }}, single{[&] { one.hvp_linearised(); }}, fresh{[&] { one.hvp_fresh(); }},
      gradient{[&] { one.gradient(); }}, gemm{[&] { square.run(); }};
  for (auto _ : state) {
    sample(device(), {&gradient, &single, &own, &fresh, &gemm}, sampler_options());
    state.SetIterationTime(median(own.seconds));
  }
  const auto k = static_cast<double>(lanes);
  const Work work = work_of(net);
  report(state, own, gradient, gemm, k * work.hvp_linearised(), k * work.hvp_linearised() / work.gradient(),
         square.multiply_adds());
  state.counters["lanes"] = k;
  state.counters["of_linearised_singles"] = median_ratio(own, single) / k;
  state.counters["of_fresh_singles"] = median_ratio(own, fresh) / k;
}

void add(const std::string& measure, const NetCase& net, const char* type, const std::function<void(State&)>& body) {
  benchmark::RegisterBenchmark(fmt::format("{}/{}/{}", measure, net.name, type).c_str(), body)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

template <class T>
void add_net(const NetCase& net, const char* type) {
  for (const Measure<T>& m : measures<T>())
    add(m.name, net, type, [=](State& state) { run_measure<T>(state, net, m); });
  for (const Index lanes : {1, 8, 32})
    add(fmt::format("lanes_{}", lanes), net, type, [=](State& state) { run_lanes<T>(state, net, lanes); });
}

}  // namespace

void register_products() {
  for (const NetCase& net : net_cases()) add_net<float>(net, "float32");
  for (const NetCase& net : net_cases())
    if (net.name == "784-300-100-10" || net.name == "64-32-10") add_net<double>(net, "float64");
}

}  // namespace hso::bench
