// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg.hpp"
#include "hsogpu/network_objective.hpp"
#include "hsogpu/optimizer.hpp"
#include "reference.hpp"
#include "registry.hpp"
#include "sampler.hpp"
#include "sgemm.hpp"
#include "timed_ops.hpp"

namespace hso::bench {
namespace {

using benchmark::State;

constexpr Index kDenseLanes = 32;

const NetCase& dense_case() {
  for (const NetCase& net : net_cases())
    if (net.name == "64-32-10") return net;
  throw std::logic_error("no dense case");
}

void report(State& state, const Timed& own, const Timed& gradient, Index n) {
  state.SetIterationTime(median(own.seconds));
  state.counters["gradient_seconds"] = median(gradient.seconds);
  state.counters["in_gradients"] = median_ratio(own, gradient);
  state.counters["n"] = static_cast<double>(n);
  state.counters["rounds"] = static_cast<double>(own.seconds.size());
  state.counters["spread"] = spread(own.seconds);
}

/// |H v - (H v exact)| / |H v exact| of the assembled matrix.
template <class T>
double dense_error(Fixture<T>& f, const Buffer<T>& h) {
  const Index n = f.n();
  Buffer<T> hv(f.context, n);
  f.context.template ops<T>().gemm({n, 1, n, h.data(), n, false, f.v.data(), 1, false, hv.data(), 1});
  const auto cpu = Context::create("cpu");
  Fixture<double> exact(*cpu, f.net);
  exact.hvp_fresh();
  return distance(f.result(hv), exact.result(exact.hv));
}

/// Multiply-adds of the matrix products that an assembly executes, counted on the way.
template <class T>
double assembly_work() {
  TimedContext counting(device());
  Fixture<T> f(counting, dense_case(), kDenseLanes);
  Buffer<T> h(counting, f.n() * f.n());
  f.linearise();
  counting.times.clear();
  f.tape.dense(Curvature::hessian, h.data());
  double sum = 0;
  for (const auto& [verb, time] : counting.times) sum += time.multiply_adds;
  return sum;
}

/// Assembly against a gradient, against n single products at the same point, and against the square product's rate.
template <class T>
void run_assembly(State& state) {
  Fixture<T> one(device(), dense_case()), many(device(), dense_case(), kDenseLanes);
  const Index n = one.n();
  Buffer<T> h(device(), n * n);
  one.gradient();
  many.linearise();
  SquareGemm<T> square(device());
  const double work = assembly_work<T>();
  Timed own{[&] { many.tape.dense(Curvature::hessian, h.data()); }}, gradient{[&] { one.gradient(); }},
      single{[&] { one.hvp_linearised(); }}, gemm{[&] { square.run(); }};
  own.run();
  const double error = dense_error(many, h);
  if (!(error <= kErrorLimit<T>)) return state.SkipWithError(fmt::format("dense: error {}", error).c_str());
  for (auto _ : state) {
    sample(device(), {&gradient, &single, &own, &gemm}, sampler_options());
    report(state, own, gradient, n);
  }
  state.counters["error"] = error;
  state.counters["of_linearised_singles"] = median_ratio(own, single) / static_cast<double>(n);
  state.counters["gemm_gflops"] = 2e-9 * square.multiply_adds() / median(gemm.seconds);
  state.counters["gemm_share"] = work / square.multiply_adds() / median_ratio(own, gemm);
}

/// The matrix is destroyed by every run: the copy that restores it is part of the time (n^2 against n^3).
template <class T>
void run_eigh(State& state) {
  Fixture<T> one(device(), dense_case()), many(device(), dense_case(), kDenseLanes);
  const Index n = one.n();
  Buffer<T> h(device(), n * n), work(device(), n * n);
  many.linearise();
  many.tape.dense(Curvature::hessian, h.data());
  EighOptions options;
  options.check_residual = true;
  EighResult result;
  const auto solve = [&] {
    device().ops<T>().copy(n * n, h.data(), work.data());
    result = eigh(device(), work.view().reshaped({n, n}), options);
  };
  solve();
  if (!result.ok() || !(result.residual <= options.residual_limit))
    return state.SkipWithError(fmt::format("eigh: residual {} n eps", result.residual).c_str());
  const double residual = result.residual;
  options.check_residual = false;
  Timed own{solve}, gradient{[&] { one.gradient(); }};
  for (auto _ : state) {
    sample(device(), {&gradient, &own}, sampler_options());
    report(state, own, gradient, n);
  }
  state.counters["residual_n_eps"] = residual;
}

/// Every timed step starts from the same theta with a fresh optimizer.
template <class T>
void run_step(State& state) {
  Fixture<T> one(device(), dense_case());
  Dataset train = split(digits(), 360, 0).train;
  for (double& pixel : train.inputs) pixel /= 16;
  const DeviceData<T> data(device(), one.network, train);
  NetworkObjective<T> objective(device(), one.network, data);
  Buffer<T> theta(device(), one.n());
  StepReport last;
  Timed own{[&] {
    device().ops<T>().copy(one.n(), one.theta.data(), theta.data());
    last = make_optimizer<T>("hso")->step(objective, theta.data());
  }};
  Timed gradient{[&] { one.gradient(); }};
  own.run();
  if (last.status != StepStatus::accepted || !(last.loss_after < last.loss_before))
    return state.SkipWithError(fmt::format("hso step: {} {}", name_of(last.status), last.message).c_str());
  for (auto _ : state) {
    sample(device(), {&gradient, &own}, sampler_options());
    report(state, own, gradient, one.n());
  }
  state.counters["trials"] = last.trials;
}

void add(const std::string& name, const char* type, void (*body)(State&)) {
  benchmark::RegisterBenchmark(fmt::format("{}/{}/{}", name, dense_case().name, type).c_str(), body)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_dense() {
  add("dense_hessian", "float32", run_assembly<float>);
  add("eigendecomposition", "float32", run_eigh<float>);
  add("hso_step", "float32", run_step<float>);
  add("dense_hessian", "float64", run_assembly<double>);
}

}  // namespace hso::bench
