// SPDX-License-Identifier: Apache-2.0
#include "count.hpp"
#include "data.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "hsogpu/objective/network_objective.hpp"

namespace hso::ledger {

namespace {

constexpr Index kDirections = 32;

/// A network on random data with everything that products need.
struct Fixture {
  explicit Fixture(const Case& c, Index lanes)
      : context(Context::create("cuda")),
        model(parse_model(c.network)),
        network(build_network<float>(model, LossKind::cross_entropy)),
        data(*context, network, random_data(model, c.batch)),
        objective(*context, network, data, NetworkObjectiveOptions{c.batch, lanes, 0}),
        n(objective.dimension()),
        theta(*context, start()),
        g(*context, n),
        v(*context, kDirections * n),
        hv(*context, kDirections * n) {
    context->ops<float>().for_each(1, v.size(),
                                   detail::RandomFill<float>{v.data(), 1, 0, detail::Distribution::normal, 0, 1});
  }
  std::vector<float> start() const {
    const auto values = initial_parameters(network.parameters, Initialization::glorot, 0);
    return {values.begin(), values.end()};
  }
  View<const float> directions(Index k) const { return vector_view<const float>(v.data(), n, k); }
  View<float> results(Index k) { return vector_view(hv.data(), n, k); }

  std::unique_ptr<Context> context;
  ModelSpec model;
  Network<float> network;
  DeviceData<float> data;
  NetworkObjective<float> objective;
  Index n;
  Buffer<float> theta, g, v, hv;
};

Row product_row(const Case& c, const std::string& work, Curvature kind, Index k, bool fresh) {
  Fixture f(c, k);
  auto held = f.objective.linearize(f.theta.data(), f.g.data(), kind);
  const auto run = [&](Index units) {
    for (Index i = 0; i < units; ++i) {
      if (fresh) {
        held.curvature.reset();
        held = f.objective.linearize(f.theta.data(), f.g.data(), kind);
      }
      held.curvature->apply(f.directions(k), f.results(k));
    }
    f.context->synchronize();
  };
  run(3);
  return count({.work = work, .network = c.network, .batch = c.batch}, 1, 3, run);
}

Row gradient_row(const Case& c) {
  Fixture f(c, 1);
  const auto run = [&](Index units) {
    for (Index i = 0; i < units; ++i) f.objective.gradient(f.theta.data(), f.g.data());
    f.context->synchronize();
  };
  run(3);
  return count({.work = "gradient", .network = c.network, .batch = c.batch}, 1, 3, run);
}

Row cg_row(const Case& c) {
  Fixture f(c, 1);
  const auto ggn = f.objective.curvature(f.theta.data(), Curvature::ggn);
  AffineOperator<float> damped(*ggn, 1, 0.1);
  const auto solve = [&](Index iterations) {
    cg<float>(damped, f.directions(1), f.results(1), {.tolerance = 1e-30, .max_iterations = iterations});
  };
  solve(3);
  return count({.work = "cg iteration", .network = c.network, .batch = c.batch}, 8, 24, solve);
}

Row lanczos_row(const Case& c, Index block) {
  Fixture f(c, block);
  const auto ggn = f.objective.curvature(f.theta.data(), Curvature::ggn);
  const auto run = [&](Index steps) {
    LanczosOptions o{.count = 30, .block = block, .basis = 40 * block, .max_products = steps * block};
    o.vectors = false;
    o.tolerance = 1e-30;
    lanczos<float>(*ggn, o);
  };
  run(3);
  const std::string work = block == 1 ? "lanczos step" : "lanczos step, block of " + std::to_string(block);
  return count({.work = work, .network = c.network, .batch = c.batch}, 8, 24, run);
}

Row quadrature_row(const Case& c) {
  Fixture f(c, 4);
  const auto ggn = f.objective.curvature(f.theta.data(), Curvature::ggn);
  const auto run = [&](Index steps) { spectral_density<float>(*ggn, {.probes = 4, .steps = steps, .seed = 1}); };
  run(3);
  return count({.work = "quadrature step, 4 probes", .network = c.network, .batch = c.batch}, 8, 24, run);
}

}  // namespace

std::vector<Row> product_rows(const Case& c) {
  return {gradient_row(c),
          product_row(c, "hessian product, fresh", Curvature::hessian, 1, true),
          product_row(c, "hessian product", Curvature::hessian, 1, false),
          product_row(c, "hessian product, 32 directions", Curvature::hessian, kDirections, false),
          product_row(c, "ggn product", Curvature::ggn, 1, false),
          product_row(c, "ggn product, 32 directions", Curvature::ggn, kDirections, false),
          cg_row(c),
          lanczos_row(c, 1),
          lanczos_row(c, 4),
          quadrature_row(c)};
}

}  // namespace hso::ledger
