// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <functional>
#include <stdexcept>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "reference.hpp"
#include "registry.hpp"
#include "sampler.hpp"
#include "sgemm.hpp"
#include "timed_ops.hpp"

namespace hso::bench {
namespace {

using benchmark::State;

const NetCase& case_of(const std::string& name) {
  for (const NetCase& net : net_cases())
    if (net.name == name) return net;
  throw std::logic_error("no network " + name);
}
const NetCase& dense_case() { return case_of("64-32-10"); }

template <class T>
Index dense_lanes(const NetCase& net) {
  const Network<T> network = build_network<T>(parse_model(net.model), LossKind::cross_entropy);
  return Tape<T>::useful_lanes(device(), network.graph, net.batch);
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
double assembly_work(const NetCase& net) {
  TimedContext counting(device());
  Fixture<T> f(counting, net, dense_lanes<T>(net));
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
void run_assembly(State& state, const NetCase& net) {
  Fixture<T> one(device(), net), many(device(), net, dense_lanes<T>(net));
  const Index n = one.n();
  Buffer<T> h(device(), n * n);
  one.gradient();
  many.linearise();
  SquareGemm<T> square(device());
  const double work = assembly_work<T>(net);
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
  Fixture<T> one(device(), dense_case()), many(device(), dense_case(), dense_lanes<T>(dense_case()));
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

void add(const std::string& name, const NetCase& net, const char* type, const std::function<void(State&)>& body) {
  benchmark::RegisterBenchmark(fmt::format("{}/{}/{}", name, net.name, type).c_str(), body)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_dense() {
  for (const char* name : {"64-32-10", "96-96-64-10"}) {
    const NetCase& net = case_of(name);
    add("dense_hessian", net, "float32", [&net](State& state) { run_assembly<float>(state, net); });
  }
  add("eigendecomposition", dense_case(), "float32", run_eigh<float>);
  add("hso_step", dense_case(), "float32", run_step<float>);
  add("dense_hessian", dense_case(), "float64", [](State& state) { run_assembly<double>(state, dense_case()); });
}

}  // namespace hso::bench
