// SPDX-License-Identifier: Apache-2.0
//
// hso gradient: the loss to stdout, its gradient to a file.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "cli/derivatives.hpp"

namespace hso::cli {
namespace {

struct GradientCommand {
  explicit GradientCommand(Command& command) : problem(command) {
    command.group(kFiles);
    command.option("--out FILE.npy", out, "where the gradient goes: .npy, [n]").required();
    command.flag("--json", json, "print the loss, and what was taken from the data, as JSON");
  }
  int run() const {
    require_outputs({{"--out", out}}, problem.inputs());
    const Problem p = problem.load();
    with_precision(p.options.precision, [&](auto zero) { compute<decltype(zero)>(p); });
    return 0;
  }
  template <class T>
  void compute(const Problem& p) const {
    const PlacedProblem<T> placed(p);
    fmt::print(stderr, "{}\n", placed.description());
    Buffer<T> g(*placed.context, placed.dimension());
    const double loss = placed.objective()->gradient(placed.theta.data(), g.data());
    print_loss(loss, p, json);
    write_result(out, Shape{placed.dimension()}, HostValues<T>(*placed.context, g).get());
    fmt::print(stderr, "{}: gradient [{}]\n", out, placed.dimension());
  }

  ProblemOptions problem;
  std::string out;
  bool json = false;
};

}  // namespace

void add_gradient(CommandLine& line) {
  Command& command = line.add("gradient", "loss and gradient of a model on data, as a file", kCurvatureSection);
  command.runs([gradient = std::make_shared<GradientCommand>(command)] { return gradient->run(); });
}

}  // namespace hso::cli
