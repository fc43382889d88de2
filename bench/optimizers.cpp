// SPDX-License-Identifier: Apache-2.0
//
// Steps of methods that carry curvature over steps of plain gradient descent, lenet300 on a batch of 4,096, float32. A
// method whose work comes in rounds (factors, inverses, eigenpairs) is timed over whole rounds, and gradient descent
// over as many steps: `over_sgd` is what a step costs in steps of sgd in the long run. The first round, which
// allocates, is the warm-up.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <numeric>

#include "fixture.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "registry.hpp"
#include "sampler.hpp"

namespace hso::bench {
namespace {

using benchmark::State;

struct Row {
  std::string label, optimizer;
  OptimizerSettings settings;
  int round;                       ///< steps
  double must;                     ///< steps of sgd; 0 where there is no bound
  std::size_t curvature_rows = 0;  ///< of a curvature batch; 0: the whole
};

const std::vector<Row>& rows() {
  static const OptimizerSettings cadence{{"factor_every", "10"}, {"inverse_every", "100"}};
  static const OptimizerSettings lowrank{
      {"rank", "32"}, {"steps", "32"}, {"refresh", "50"}, {"start", "random"}, {"judged", "false"}};
  static const std::vector<Row> list{{"kfac", "kfac", cadence, 100, 1.35},
                                     {"ekfac", "ekfac", cadence, 100, 0},
                                     {"hvp", "hvp", {}, 1, 0},
                                     {"hso.lowrank", "hso.lowrank", lowrank, 50, 1.5, 1024},
                                     {"adahessian", "adahessian", {}, 1, 0},
                                     {"sophia", "sophia", {}, 10, 0},
                                     {"shampoo", "shampoo", {{"refresh", "10"}, {"graft", "sgd"}}, 10, 0},
                                     {"soap", "soap", {}, 10, 0},
                                     {"muon", "muon", {}, 1, 0},
                                     {"adam", "adam", {}, 1, 0}};
  return list;
}

const NetCase& setting() {
  static const NetCase net{"lenet300", "lenet300", 4096, false, true};
  return net;
}

Dataset dataset_of(const NetCase& net, const Network<float>& network) {
  Batch batch = make_batch(net);
  Dataset out;
  out.name = net.name;
  out.size = net.batch;
  out.input_shape = network.input;
  out.classes = network.output.size();
  out.inputs = std::move(batch.inputs);
  out.targets = std::move(batch.labels);
  return out;
}

/// One optimizer on its own copy of theta.
class Stepper {
 public:
  Stepper(Objective<float>& objective, const Buffer<float>& start, const Row& row)
      : objective_(objective),
        theta_(device(), start.size()),
        optimizer_(make_optimizer<float>(row.optimizer, row.settings)) {
    device().ops<float>().copy(start.size(), start.data(), theta_.data());
  }
  void take(int steps) {
    for (int i = 0; i < steps; ++i) {
      const StepReport r = optimizer_->step(objective_, theta_.data());
      if (r.status != StepStatus::accepted) message = fmt::format("{}: {}", name_of(r.status), r.message);
    }
  }
  std::string message;

 private:
  Objective<float>& objective_;
  Buffer<float> theta_;
  std::unique_ptr<Optimizer<float>> optimizer_;
};

void run_row(State& state, const Row& row) {
  Fixture<float> fixture(device(), setting());
  const Dataset data = dataset_of(setting(), fixture.network);
  const DeviceData<float> on_device(device(), fixture.network, data);
  NetworkObjective<float> objective(device(), fixture.network, on_device, {.lanes = 4}),
      few(device(), fixture.network, on_device, {.batch = static_cast<Index>(row.curvature_rows), .lanes = 4});
  std::vector<Index> first(row.curvature_rows);
  std::iota(first.begin(), first.end(), Index{0});
  if (!first.empty()) few.select(first);
  SubsampledCurvature<float> separate(objective, few);
  Objective<float>& seen = first.empty() ? static_cast<Objective<float>&>(objective) : separate;
  Stepper own(seen, fixture.theta, row), plain(objective, fixture.theta, {"sgd", "sgd", {}, 1, 0});
  fixture.gradient();
  Timed timed{[&] { own.take(row.round); }}, sgd{[&] { plain.take(row.round); }},
      product{[&] { fixture.hvp_linearised(); }};
  for (auto _ : state) {
    sample(device(), {&sgd, &timed, &product}, sampler_options());
    state.SetIterationTime(median(timed.seconds) / row.round);
  }
  if (!own.message.empty()) state.SetLabel(own.message);
  const double over = median_ratio(timed, sgd);
  state.counters["sgd_seconds"] = median(sgd.seconds) / row.round;
  state.counters["over_sgd"] = over;
  state.counters["extra_in_products"] = (over - 1) * median_ratio(sgd, product) / row.round;
  if (row.must > 0) state.counters["must"] = row.must;
  state.counters["rounds"] = static_cast<double>(timed.seconds.size());
  state.counters["spread"] = spread(timed.seconds);
}

}  // namespace

void register_optimizers() {
  for (const Row& row : rows())
    benchmark::RegisterBenchmark(fmt::format("optimizer/{}/lenet300/float32", row.label).c_str(),
                                 [&row](State& state) { run_row(state, row); })
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
}

}  // namespace hso::bench
