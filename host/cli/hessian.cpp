// SPDX-License-Identifier: Apache-2.0
//
// hso hessian: the loss to stdout; the curvature matrix, or its products with given vectors, to a file.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <utility>

#include "cli/commands.hpp"
#include "cli/curvature_flags.hpp"
#include "cli/dense_check.hpp"
#include "cli/derivatives.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "objective/lanes_that_fit.hpp"

namespace hso::cli {
namespace {

class HessianCommand {
 public:
  explicit HessianCommand(Command& command) : problem_(command), memory_(command), curvature_(command) {
    command.group("products");
    command.option("--vector FILE.npy", vector_, "vectors to multiply: .npy, [n] or [K][n]; without, the dense matrix");
    command.option("--lanes N", lanes_, "directions in one traversal [what memory allows, 32 at most]").whole_number(1);
    command.group(kFiles);
    command.option("--out FILE.npy", out_, "where the result goes: .npy, [n][n] or the shape of --vector").required();
    command.flag("--json", json_, "print the loss, and what was taken from the data, as JSON");
  }

  int run() const {
    const Curvature kind = curvature_.kind();
    curvature_.require_applicable();
    std::vector<NamedPath> inputs = problem_.inputs();
    inputs.push_back({"--vector", vector_});
    require_outputs({{"--out", out_}}, inputs);
    memory_.start();
    Problem p = problem_.load();
    with_precision(p.options.precision, [&](auto zero) {
      const PlacedProblem<decltype(zero)> placed(p);
      fmt::print(stderr, "{}\n", placed.description());
      if (vector_.empty())
        dense(placed, kind);
      else
        products(placed, kind);
    });
    return 0;
  }

 private:
  template <class T>
  std::unique_ptr<NetworkObjective<T>> objective_of(const PlacedProblem<T>& placed, Index lanes) const {
    NetworkObjectiveOptions options = curvature_.options();
    options.lanes = lanes;
    return placed.objective(options);
  }

  /// The shape of --vector, and its numbers on the device.
  template <class T>
  std::pair<Shape, Buffer<T>> placed_vectors(const PlacedProblem<T>& placed) const {
    const Array v = read_vectors(vector_, placed.dimension());
    const std::vector<T> narrowed(v.values.begin(), v.values.end());
    return {v.shape, Buffer<T>(*placed.context, Span<const T>(narrowed))};
  }

  template <class T>
  void products(const PlacedProblem<T>& placed, Curvature kind) const {
    const Index n = placed.dimension();
    const auto [shape, in] = placed_vectors(placed);
    const Index count = in.size() / n;
    Buffer<T> result(*placed.context, in.size());
    const Index fit = detail::lanes_that_fit(*placed.context, placed.network.graph, placed.rows);
    const Index lanes = std::min(count, lanes_ > 0 ? lanes_ : fit);
    const auto objective = objective_of(placed, lanes);
    const Index work = placed.live_with(placed.tape_bytes(lanes, curvature_.options().most));
    if (memory_.stops_after(placed.plan(work))) return;
    print_loss(placed.loss(), placed.problem, json_);
    objective->curvature(placed.theta.data(), kind)
        ->apply(vector_view<const T>(in.data(), n, count), vector_view(result.data(), n, count));
    write_result(out_, shape, HostValues<T>(*placed.context, result).get());
    fmt::print(stderr, "{}: {} times {} vectors {}\n", out_, name_of(kind), count, shape.to_string());
  }

  template <class T>
  void dense(const PlacedProblem<T>& placed, Curvature kind) const {
    const Index n = placed.dimension();
    require_dense_memory(*placed.context, placed.network.graph, placed.rows);
    const auto objective = objective_of(placed, lanes_);
    const double loss = placed.loss();
    const auto op = objective->curvature(placed.theta.data(), kind);
    const SpectrumPlan plan = plan_matrix(*op);
    if (stops_after(memory_, placed.plan(plan.bytes), plan, "dense", curvature_.name(), n)) return;
    print_loss(loss, placed.problem, json_);
    Buffer<T> h(*placed.context, checked_multiply(n, n));
    op->to_dense(h.data());
    const double product = product_difference(*op, h);
    const HostValues<T> host(*placed.context, h);
    report<T>(kind, product, asymmetry(n, host.get()));
    write_result(out_, Shape{n, n}, host.get());
    fmt::print(stderr, "{}: {} [{}, {}]\n", out_, name_of(kind), n, n);
  }

  /// NumericalError when half the digits differ: something is broken then. Differences are only as good as their step.
  template <class T>
  void report(Curvature kind, double product, double asymmetry) const {
    fmt::print(stderr, "against a random full product: {:.1e}; asymmetry: {:.1e}\n", product, asymmetry);
    const double limit = std::sqrt(static_cast<double>(std::numeric_limits<T>::epsilon()));
    if (kind != Curvature::finite_difference && !(product <= 10 * limit))
      throw NumericalError(
          fmt::format("{}: not written, the matrix differs from a random full product by {:.1e}, expected {:.0e}", out_,
                      product, 10 * limit));
  }

  ProblemOptions problem_;
  MemoryFlags memory_;
  CurvatureFlags curvature_;
  std::string vector_, out_;
  bool json_ = false;
  Index lanes_ = 0;
};

}  // namespace

void add_hessian(CommandLine& line) {
  Command& command = line.add("hessian", "curvature matrix of a model on data, or its products with vectors, as a file",
                              kCurvatureSection);
  command.runs([hessian = std::make_shared<HessianCommand>(command)] { return hessian->run(); });
}

}  // namespace hso::cli
