// SPDX-License-Identifier: Apache-2.0
#include "count.hpp"
#include "data.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/prune/surgeon.hpp"
#include "hsogpu/train/train.hpp"

namespace hso::ledger {

namespace {

const Case kCase{"mlp:16-12-10", 128};

Row hessian_row() {
  const auto context = Context::create("cuda");
  const ModelSpec model = parse_model(kCase.network);
  const auto network = build_network<float>(model, LossKind::cross_entropy);
  const DeviceData<float> data(*context, network, random_data(model, kCase.batch));
  NetworkObjective<float> objective(*context, network, data, {});
  const Index n = objective.dimension();
  const auto start = initial_parameters(network.parameters, Initialization::glorot, 0);
  Buffer<float> theta(*context, std::vector<float>(start.begin(), start.end())), h(*context, n * n);
  const auto curvature = objective.curvature(theta.data(), Curvature::hessian);
  const auto run = [&](Index units) {
    for (Index i = 0; i < units; ++i) curvature->to_dense(h.data());
    context->synchronize();
  };
  run(3);
  return count({.work = "dense hessian", .network = kCase.network, .batch = kCase.batch}, 1, 2, run);
}

Row step_row() {
  const DataSplit split{random_data(parse_model(kCase.network), kCase.batch), {}};
  return count({.work = "step hso", .network = kCase.network, .batch = kCase.batch}, 3, 7, [&](Index steps) {
    TrainOptions o;
    o.model = kCase.network;
    o.device = "cuda";
    o.optimizer = "hso";
    o.steps = o.max_trials = steps;
    o.evaluate_every = 1000000;
    TrainStart start;
    start.split = &split;
    train(o, {}, start);
  });
}

/// Optimal brain surgeon on one block of 128 parameters.
Row removal_row() {
  const auto context = Context::create("cuda");
  constexpr Index kN = 128;
  SurgeryModel<float> model;
  model.orders = {kN};
  model.fill = [&](Index, float* device) {
    std::vector<float> a(kN * kN, 0.01f);
    for (std::size_t i = 0; i < kN; ++i) a[i * kN + i] = 1 + 0.01f * static_cast<float>(i);
    context->to_device(a.data(), device, kN * kN * static_cast<Index>(sizeof(float)));
  };
  SurgeryBlock block;
  for (Index i = 0; i < kN; ++i) {
    block.parameters.push_back(i);
    block.rows.push_back(i);
  }
  model.blocks = {block};
  const std::vector<double> theta(kN, 0.5);
  const auto run = [&](Index removals) {
    SurgeryOptions o;
    o.count = removals;
    o.removable.assign(kN, 1);
    obs_prune<float>(*context, model, theta, o);
  };
  run(8);
  return count({.work = "obs removal, block of 128", .network = "", .batch = 0}, 16, 80, run);
}

}  // namespace

std::vector<Row> dense_rows() { return {hessian_row(), step_row(), removal_row()}; }

}  // namespace hso::ledger
