// SPDX-License-Identifier: Apache-2.0
//
// hso solve: x = (A + damping I)^-1 v + eps v for given vectors v, A a curvature matrix of a model on data. What it
// found goes to stdout, x to a file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/applies.hpp"
#include "cli/commands.hpp"
#include "cli/curvature_flags.hpp"
#include "cli/derivatives.hpp"
#include "cli/outputs.hpp"
#include "cli/solve_plan.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "io/choice.hpp"
#include "io/shown_text.hpp"
#include "objective/lanes_that_fit.hpp"
#include "train/memory_plan.hpp"

namespace hso::cli {
namespace {

enum class Method { automatic, dense, cg, minres };
const std::vector<std::string> kMethods{"auto", "dense", "cg", "minres"};
const char* name_of(Method method) { return kMethods[static_cast<std::size_t>(method)].c_str(); }

/// Up to here a matrix and its Cholesky factor take seconds on any machine, and no solve stops short of its tolerance.
constexpr Index kDense = 2000;

/// Of one vector. `iterations` is 0 for a dense solve.
struct Solved {
  double quadratic_form = 0;  ///< v'(A + damping I)^-1 v
  double residual = 0;        ///< |v - (A + damping I) x| / |v|, by a product
  Index iterations = 0;
};

class SolveCommand {
 public:
  explicit SolveCommand(Command& command)
      : command_(command), problem_(command), memory_(command), curvature_(command) {
    command.group("system");
    command.option("--vector FILE.npy", vector_, "right-hand sides: .npy, [n] or [K][n]").required();
    command.option("--damping X", damping_, "added to the matrix's diagonal [0]").from_zero();
    command.option("--eps X", eps_, "multiple of the vector that is added to the result, as HSO does [0]").from_zero();
    command.option(
        "--method METHOD", method_,
        fmt::format("dense (Cholesky, else eigenvalues), cg (positive definite matrices) or minres; auto: "
                    "dense up to n = {} where it fits, else cg, and minres for kinds that may be indefinite [auto]",
                    kDense));
    command.option("--precondition WORD", precondition_, "cg: none, or kfac (Kronecker factors and damping) [none]");
    command.option("--tolerance X", tolerance_, "of cg's and minres' residual, relative to |v| [1e-6]").above_zero();
    command.option("--max-products N", most_, "of cg and minres [twice n, of minres five times]").whole_number(1);
    command.group(kFiles);
    command.option("--out FILE.npy", out_, "where the results go: .npy, the shape of --vector").required();
    command.flag("--json", json_, "print what was found, and what was taken from the data, as JSON");
  }

  int run() const {
    const Curvature kind = curvature_.kind();
    const Method method = parse_choice<Method>("--method", method_, kMethods);
    check(method, kind);
    std::vector<NamedPath> inputs = problem_.inputs();
    inputs.push_back({"--vector", vector_});
    require_outputs({{"--out", out_}}, inputs);
    memory_.start();
    Problem p = problem_.load();
    with_precision(p.options.precision, [&](auto zero) { solve_in<decltype(zero)>(p, kind, method); });
    return 0;
  }

 private:
  void check(Method method, Curvature kind) const {
    curvature_.require_applicable();
    const bool iterative = method != Method::dense;
    require_applicable(command_, {{"--tolerance", iterative, "--method cg, minres or auto"},
                                  {"--max-products", iterative, "--method cg, minres or auto"}});
    if (precondition_ != "none" && precondition_ != "kfac")
      throw UsageError(fmt::format("--precondition {}: expected none or kfac", precondition_));
    if (precondition_ == "none") return;
    if (method != Method::cg) throw UsageError("--precondition kfac: expected --method cg");
    if (damping_ == 0) throw UsageError("--precondition kfac: expected --damping above 0, factors are singular");
    if (kind == Curvature::kfac) throw UsageError("--precondition kfac: of --kind kfac it would be the answer itself");
  }

  template <class T>
  void solve_in(Problem& p, Curvature kind, Method method) const {
    const PlacedProblem<T> placed(p);
    fmt::print(stderr, "{}\n", placed.description());
    const Index n = placed.dimension();
    auto& context = *placed.context;
    const auto [shape, b] = placed_vectors(placed);
    Buffer<T> x(context, b.size());
    const auto objective = placed.objective(options_of(placed, b.size() / n, method));
    const auto curvature = objective->curvature(placed.theta.data(), kind);
    AffineOperator<T> a(*curvature, 1, damping_);
    const Index count = b.size() / n;
    const SpectrumPlan plan = planned(a, count, kind, method);
    if (stops_after(memory_, memory_of(placed, plan, b.size()), plan, name_of(method), curvature_.name(), n)) return;
    std::vector<Solved> solved(static_cast<std::size_t>(count));
    if (method == Method::dense)
      dense(a, b, x);
    else
      iterate(*objective, placed.theta.data(), a, method, b, x, solved);
    measure(a, b, x, solved);
    if (eps_ > 0) context.template ops<T>().axpby(b.size(), static_cast<T>(eps_), b.data(), T(1), x.data());
    write_result(out_, shape, HostValues<T>(context, x).get());
    report(p, kind, method, n, solved);
    fmt::print(stderr, "{}: {} results {}\n", out_, count, shape.to_string());
  }

  /// An iteration multiplies no more vectors at a time than it solves for; a matrix is made from many.
  template <class T>
  NetworkObjectiveOptions options_of(const PlacedProblem<T>& placed, Index count, Method method) const {
    NetworkObjectiveOptions out = curvature_.options();
    if (method == Method::dense || (method == Method::automatic && placed.dimension() <= kDense)) return out;
    out.lanes = std::min(count, detail::lanes_that_fit(*placed.context, placed.network.graph, placed.rows));
    return out;
  }

  /// The shape of --vector, and its numbers on the device.
  template <class T>
  std::pair<Shape, Buffer<T>> placed_vectors(const PlacedProblem<T>& placed) const {
    const Array v = read_vectors(vector_, placed.dimension());
    const std::vector<T> narrowed(v.values.begin(), v.values.end());
    require_in_range<T>(narrowed);
    return {v.shape, Buffer<T>(*placed.context, Span<const T>(narrowed))};
  }

  /// Right-hand sides, solutions and their products come back at the end; factors of --precondition are not there yet.
  template <class T>
  MemoryPlan memory_of(const PlacedProblem<T>& placed, const SpectrumPlan& plan, Index numbers) const {
    const Index copies = checked_multiply(3 * numbers, static_cast<Index>(sizeof(T)));
    Index factors = 0;
    if (precondition_ == "kfac")
      factors = make_optimizer<T>("kfac")->bytes(*placed.context, parameter_layout(*placed.context, placed.network));
    return placed.plan(plan.bytes + factors, copies);
  }

  template <class T>
  void require_in_range(const std::vector<T>& values) const {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!std::isfinite(values[i]))
        throw InputError(
            fmt::format("--vector {}: position {} does not fit float32; try --precision float64", vector_, i));
  }

  /// `method` becomes what is taken.
  template <class T>
  SpectrumPlan planned(LinearOperator<T>& a, Index count, Curvature kind, Method& method) const {
    const bool automatic = method == Method::automatic;
    if (method == Method::dense || (automatic && a.dimension() <= kDense)) try {
        const SpectrumPlan plan = plan_dense_solve(a, count);
        method = Method::dense;
        return plan;
      } catch (const MemoryError&) {
        if (!automatic) throw;
      }
    if (automatic) method = is_positive_semidefinite(kind) ? Method::cg : Method::minres;
    return plan_iterative_solve(a, count, count * most_);
  }

  /// The matrix is made once; solve() keeps b where it fails.
  template <class T>
  void dense(AffineOperator<T>& a, const Buffer<T>& b, Buffer<T>& x) const {
    const Index n = a.dimension(), count = b.size() / n;
    Context& context = a.context();
    Buffer<T> matrix(context, checked_multiply(n, n));
    a.to_dense(matrix.data());
    context.ops<T>().copy(b.size(), b.data(), x.data());
    const SolveReport r = solve(context, matrix.view().reshaped({n, n}), x.view().reshaped({count, n}));
    for (const std::string& detour : r.fallbacks) fmt::print(stderr, "dense: {}\n", detour);
    if (r.status != LinalgStatus::ok)
      throw NumericalError(
          fmt::format("{}: not written, the matrix is {}; a larger --damping may help", out_, hso::name_of(r.status)));
  }

  template <class T>
  void iterate(NetworkObjective<T>& objective, const T* theta, AffineOperator<T>& a, Method method, const Buffer<T>& b,
               Buffer<T>& x, std::vector<Solved>& solved) const {
    KrylovOptions<T> options{.tolerance = tolerance_, .max_iterations = most_};
    std::unique_ptr<KroneckerOperator<T>> factors;
    std::unique_ptr<LinearOperator<T>> inverse;
    if (precondition_ == "kfac") {
      const Curvature kind = curvature_.kind();
      const bool own = kind == Curvature::fisher_mc || kind == Curvature::fisher_empirical;
      factors = objective.kronecker(theta, {.source = own ? kind : Curvature::ggn});
      inverse = factors->function([this](double lambda) { return 1 / (std::max(lambda, 0.0) + damping_); });
      options.preconditioner = inverse.get();
    }
    const Index n = a.dimension(), count = b.size() / n;
    const auto rhs = vector_view<const T>(b.data(), n, count);
    const auto result = vector_view(x.data(), n, count);
    const KrylovResult r = method == Method::cg ? cg(a, rhs, result, options) : minres(a, rhs, result, options);
    for (std::size_t i = 0; i < r.lanes.size(); ++i) {
      solved[i].iterations = r.lanes[i].iterations;
      if (r.lanes[i].status == KrylovStatus::converged) continue;
      throw NumericalError(fmt::format(
          "{}: not written, {} of vector {} ended as {} after {} products with a residual of {:.1e}, expected {:.1e}{}",
          out_, name_of(method), i, hso::name_of(r.lanes[i].status), r.lanes[i].iterations, r.lanes[i].residual,
          tolerance_, hint(r.lanes[i].status)));
    }
  }
  static const char* hint(KrylovStatus status) {
    if (status == KrylovStatus::negative_curvature)
      return ": the matrix is not positive definite; try --method minres or a larger --damping";
    return ": try a larger --damping, --tolerance or --max-products";
  }

  template <class T>
  void measure(AffineOperator<T>& a, const Buffer<T>& b, const Buffer<T>& x, std::vector<Solved>& solved) const {
    const Index n = a.dimension(), count = b.size() / n;
    Buffer<T> ax(a.context(), b.size());
    a.apply(vector_view<const T>(x.data(), n, count), vector_view(ax.data(), n, count));
    const std::vector<T> rhs = b.download(), result = x.download(), product = ax.download();
    for (std::size_t lane = 0; lane < solved.size(); ++lane) {
      double off = 0, size = 0, form = 0;
      for (std::size_t i = lane * static_cast<std::size_t>(n), end = i + static_cast<std::size_t>(n); i < end; ++i) {
        const auto v = static_cast<double>(rhs[i]);
        off += std::pow(v - static_cast<double>(product[i]), 2);
        size += v * v;
        form += v * static_cast<double>(result[i]);
      }
      solved[lane].quadratic_form = form;
      solved[lane].residual = size > 0 ? std::sqrt(off / size) : std::sqrt(off);
    }
  }

  void report(const Problem& p, Curvature kind, Method method, Index n, const std::vector<Solved>& solved) const {
    if (json_) {
      nlohmann::ordered_json out{{"n", n},
                                 {"kind", hso::name_of(kind)},
                                 {"method", name_of(method)},
                                 {"damping", damping_},
                                 {"eps", eps_},
                                 {"vectors", nlohmann::ordered_json::array()}};
      for (const Solved& s : solved)
        out["vectors"].push_back(
            {{"quadratic_form", s.quadratic_form}, {"residual", s.residual}, {"iterations", s.iterations}});
      out["data"] = nlohmann::ordered_json::parse(p.description.json());
      fmt::print("{}\n", out.dump());
      return;
    }
    fmt::print("method      {}\n", name_of(method));
    for (std::size_t i = 0; i < solved.size(); ++i)
      fmt::print("vector {:4} v'A^-1 v {:.10g}, residual {:.1e}{}\n", i, solved[i].quadratic_form, solved[i].residual,
                 solved[i].iterations > 0 ? fmt::format(", {} products", solved[i].iterations) : std::string());
  }

  const Command& command_;
  ProblemOptions problem_;
  MemoryFlags memory_;
  CurvatureFlags curvature_;
  std::string vector_, out_, method_ = "auto", precondition_ = "none";
  double damping_ = 0, eps_ = 0, tolerance_ = 1e-6;
  Index most_ = 0;
  bool json_ = false;
};

}  // namespace

void add_solve(CommandLine& line) {
  Command& command =
      line.add("solve", "inverse curvature times vectors, (A + damping I)^-1 v, as a file", kCurvatureSection);
  command.runs([solve = std::make_shared<SolveCommand>(command)] { return solve->run(); });
}

}  // namespace hso::cli
