// SPDX-License-Identifier: Apache-2.0
//
// hso gradient: the loss to stdout, its gradient to a file.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "cli/derivatives.hpp"

namespace hso::cli {
namespace {

struct GradientCommand {
  explicit GradientCommand(Command& command) : problem(command), memory(command) {
    command.group(kFiles);
    command.option("--out FILE.npy", out, "where the gradient goes: .npy, [n]").required();
    command.flag("--json", json, "print the loss, and what was taken from the data, as JSON");
  }
  int run() const {
    require_outputs({{"--out", out}}, problem.inputs());
    memory.start();
    Problem p = problem.load();
    with_precision(p.options.precision, [&](auto zero) { compute<decltype(zero)>(p); });
    return 0;
  }
  template <class T>
  void compute(Problem& p) const {
    const PlacedProblem<T> placed(p);
    fmt::print(stderr, "{}\n", placed.description());
    Buffer<T> g(*placed.context, placed.dimension());
    const auto objective = placed.objective({.batch = placed.few_rows(), .lanes = 1});
    const Index tape = Tape<T>::bytes(*placed.context, placed.network.graph, placed.few_rows(), 1);
    if (memory.stops_after(placed.plan(placed.live_with(tape)))) return;
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

void add_gradient(CommandLine& line) {
  Command& command = line.add("gradient", "loss and gradient of a model on data, as a file", kCurvatureSection);
  command.runs([gradient = std::make_shared<GradientCommand>(command)] { return gradient->run(); });
}

}  // namespace hso::cli
