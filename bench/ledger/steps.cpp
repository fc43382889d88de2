// SPDX-License-Identifier: Apache-2.0
#include "count.hpp"
#include "data.hpp"
#include "hsogpu/train/train.hpp"

namespace hso::ledger {

namespace {

struct Method {
  const char* row;
  const char* optimizer;
  OptimizerSettings settings;
  bool whole_batch;  ///< the data is one batch
  Index few, many;   ///< steps of the two runs: whole periods of what is refreshed in between
};

/// kfac refreshes factors and inverses apart from each other; between refreshes is what a step costs mostly.
std::vector<Method> methods() {
  return {{"step sgd", "sgd", {{"rate", "0.01"}}, false, 4, 12},
          {"step momentum", "momentum", {{"rate", "0.01"}}, false, 4, 12},
          {"step adam", "adam", {}, false, 4, 12},
          {"step hvp", "hvp", {{"rate", "0.01"}}, false, 4, 12},
          {"step kfac between refreshes", "kfac", {{"factor_every", "100"}, {"inverse_every", "100"}}, false, 4, 12},
          {"step kfac", "kfac", {}, false, 10, 30},
          {"step hso.kfac", "hso.kfac", {}, true, 3, 7},
          {"step hso.kfac, not judged", "hso.kfac", {{"judged", "false"}}, true, 3, 7},
          {"step hso.cg", "hso.cg", {}, true, 3, 7},
          {"step hso.lowrank", "hso.lowrank", {}, true, 3, 7},
          {"step lbfgs", "lbfgs", {}, true, 3, 7}};
}

void train_steps(const Case& c, const Method& m, const DataSplit& split, Index steps) {
  TrainOptions o;
  o.model = c.network;
  o.device = "cuda";
  o.optimizer = m.optimizer;
  o.optimizer_settings = m.settings;
  o.batch = m.whole_batch ? 0 : c.batch;
  o.steps = o.max_trials = steps;
  o.evaluate_every = 1000000;
  TrainStart start;
  start.split = &split;
  train(o, {}, start);
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all{{"mlp:64-256-10", 128}, {"mlp:784-1024-512-256-128-64-10", 128}, {"lenet5", 32}};
  return all;
}

std::vector<Row> step_rows(const Case& c) {
  std::vector<Row> rows;
  const ModelSpec model = parse_model(c.network);
  for (const Method& m : methods()) {
    // An epoch has more batches than the longer run has steps, or one: no run begins a second epoch of mini-batches.
    const DataSplit split{random_data(model, m.whole_batch ? c.batch : (m.many + 1) * c.batch), {}};
    rows.push_back(count({.work = m.row, .network = c.network, .batch = c.batch}, m.few, m.many,
                         [&](Index steps) { train_steps(c, m, split, steps); }));
  }
  return rows;
}

}  // namespace hso::ledger
