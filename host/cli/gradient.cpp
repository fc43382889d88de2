// SPDX-License-Identifier: Apache-2.0
//
// hso gradient: the loss to stdout, its gradient to a file.
#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.hpp"
#include "cli/derivatives.hpp"

namespace hso::cli {
namespace {

struct GradientCommand {
  explicit GradientCommand(CLI::App& command) : problem(command), memory(command) {
    command.add_option("--out", out, "where the gradient goes: .npy, [n]")->required();
    command.add_flag("--json", json, "print the loss, and what was taken from the data, as JSON");
  }
  void run() const {
    require_outputs({{"--out", out}}, problem.inputs());
    memory.start();
    Problem p = problem.load();
    with_precision(p.options.precision, [&](auto zero) { compute<decltype(zero)>(p); });
  }
  template <class T>
  void compute(Problem& p) const {
    const PlacedProblem<T> placed(p);
    fmt::print(stderr, "{}\n", placed.description());
    Buffer<T> g(*placed.context, placed.dimension());
    const auto objective = placed.objective({.lanes = 1});
    if (memory.stops_after(placed.plan(placed.live_with(placed.tape_bytes())))) return;
    const double loss = objective->gradient(placed.theta.data(), g.data());
    print_loss(loss, p, json);
    write_result(out, Shape{placed.dimension()}, HostValues<T>(*placed.context, g).get());
    fmt::print(stderr, "{}: gradient [{}]\n", out, placed.dimension());
  }

  ProblemOptions problem;
  MemoryFlags memory;
  std::string out;
  bool json = false;
};

}  // namespace

void add_gradient(CLI::App& app, int&) {
  CLI::App& command = *app.add_subcommand("gradient", "loss and gradient of a model on data, as a file");
  const auto options = std::make_shared<GradientCommand>(command);
  command.callback([options] { options->run(); });
}

}  // namespace hso::cli
