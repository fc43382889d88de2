// SPDX-License-Identifier: Apache-2.0
//
// hso spectrum: eigenvalues, density, trace and rank of a curvature matrix of a model on data.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>

#include "cli/applies.hpp"
#include "cli/commands.hpp"
#include "cli/curvature_flags.hpp"
#include "cli/derivatives.hpp"
#include "cli/signals.hpp"
#include "cli/spectrum_result.hpp"
#include "cli/values.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/objective/kronecker_preconditioner.hpp"
#include "io/suggest.hpp"
#include "io/text_parts.hpp"
#include "nn/class_steps.hpp"

namespace hso::cli {
namespace {

class SpectrumCommand {
 public:
  explicit SpectrumCommand(Command& command)
      : command_(command), problem_(command), memory_(command), curvature_(command) {
    command.group("matrix");
    command.option("--layers NAMES", layers_,
                   "layers or parameters by name, as 0 or 2.weight: their diagonal block [all]");
    command.group("method");
    command
        .option("--method METHOD", method_,
                "dense: all eigenvalues; lanczos: --k at an end; slq: density, trace and norm from probes; "
                "trace; rank: exact or "
                "bounded; lanczos+slq; auto: dense up to n = 4096, lanczos+slq above")
        .words({"auto", "dense", "lanczos", "slq", "trace", "rank", "lanczos+slq"});
    command.option("--k N", request_.count, "eigenvalues that lanczos looks for [10]").whole_number(1);
    command.option("--which END", which_, "largest, smallest, both or magnitude [largest]");
    command.option("--near X", near_,
                   "auto, lanczos: the eigenvalues nearest this number instead; where they lie too close together for "
                   "fewer than n products, auto takes the dense matrix if it fits");
    command.option("--block N", request_.block, "vectors that lanczos multiplies at once, to begin with [1]")
        .whole_number(1);
    command.option("--tolerance X", request_.tolerance, "of lanczos, residual over largest value [1e-8]").from_zero();
    command
        .option(
            "--max-products N", request_.max_products,
            "vectors that lanczos may multiply [20 n; n with --near, and where the dense matrix of n up to 4096 fits]")
        .whole_number(1);
    command.option("--probes N", request_.probes, "random probes of slq and trace [30]").whole_number(2);
    command.option("--probe-steps N", request_.steps, "Lanczos steps of each probe [80]").whole_number(2);
    command
        .option("--max-probe-steps N", request_.most_steps,
                "slq with --log-det: as many for a short interval [8 times --probe-steps]")
        .whole_number(1);
    command.option(
        "--trace-method METHOD", trace_method_,
        "hutchinson, hutch_plus_plus, xtrace, xnystrace (positive semidefinite kinds alone), or auto: "
        "xnystrace where it may and --probes is 5 to 128, else hutchinson; exact where --probes is n or more [auto]");
    command.option("--log-det X", log_det_,
                   "also log det(A + this number times I), by dense or slq; of slq the interval bounds the "
                   "quadrature too");
    command.option("--precondition WORD", precondition_,
                   "--log-det of slq: none, or kfac: probes of its own with Kronecker factors of the kind (ggn, "
                   "fisher_mc, fisher_empirical) taken out, in fewer steps at small numbers [none]");
    command.group(kFiles);
    command.flag("--json", json_, "print the result as JSON");
    command.option("--out FILE.json", out_, "where the JSON goes, as spectrum.json");
    command.option("--vectors FILE.npy", vectors_, "where eigenvectors go: .npy, [k][n], row i of value i");
    command.option("--svg FILE.svg", svg_, "where a picture of density and eigenvalues goes");
  }

  int run() {
    parse();
    require_outputs({{"--out", out_}, {"--vectors", vectors_}, {"--svg", svg_}}, problem_.inputs());
    memory_.start();
    Problem p = problem_.load();
    with_precision(p.options.precision, [&](auto zero) { analyse<decltype(zero)>(p); });
    return exit_code_;
  }

 private:
  void parse() {
    request_.method = of_flag("--method", parse_spectrum_method, method_);
    request_.which = of_flag("--which", parse_spectrum_end, which_);
    request_.trace_method = of_flag("--trace-method", parse_trace_method, trace_method_);
    request_.vectors = !vectors_.empty();
    if (!near_.empty()) request_.near = parse_near();
    if (!log_det_.empty()) request_.damping = parse_damping();
    if (request_.trace_method == TraceMethod::xnystrace && !is_positive_semidefinite(curvature_.kind()))
      throw UsageError(
          fmt::format("--trace-method xnystrace: {} need not be positive semidefinite, expected a kind that is, or "
                      "--trace-method xtrace",
                      curvature_.name()));
    check_precondition();
    check_applicable();
    const bool none = request_.method == SpectrumMethod::slq || request_.method == SpectrumMethod::trace ||
                      request_.method == SpectrumMethod::rank;
    if (request_.vectors && none)
      throw UsageError(fmt::format("--vectors: {} has no eigenvectors, expected --method dense or lanczos", method_));
  }

  void check_applicable() const {
    const SpectrumMethod m = request_.method;
    const bool either = m == SpectrumMethod::automatic || m == SpectrumMethod::lanczos_slq;
    const bool pairs = either || m == SpectrumMethod::lanczos, probes = either || m == SpectrumMethod::slq;
    const bool rank = m == SpectrumMethod::rank, trace = m == SpectrumMethod::trace, ends = near_.empty();
    curvature_.require_applicable();
    require_applicable(command_, {{"--k", pairs || rank, "--method lanczos, rank, lanczos+slq or auto"},
                                  {"--which", pairs && ends, "--method lanczos, lanczos+slq or auto, without --near"},
                                  {"--block", pairs, "--method lanczos, lanczos+slq or auto"},
                                  {"--tolerance", pairs, "--method lanczos, lanczos+slq or auto"},
                                  {"--max-products", pairs || rank, "--method lanczos, rank, lanczos+slq or auto"},
                                  {"--probes", probes || trace, "--method slq, trace, lanczos+slq or auto"},
                                  {"--probe-steps", probes, "--method slq, lanczos+slq or auto"},
                                  {"--max-probe-steps", probes && !log_det_.empty(),
                                   "--log-det, by --method slq, lanczos+slq or auto"},
                                  {"--trace-method", trace, "--method trace"},
                                  {"--svg", !trace, "a method that gives eigenvalues or their density"}});
  }

  void check_precondition() const {
    if (precondition_ == "none") return;
    const Curvature kind = curvature_.kind();
    if (precondition_ != "kfac")
      throw UsageError(fmt::format("--precondition {}: expected none or kfac", precondition_));
    if (kind != Curvature::ggn && kind != Curvature::fisher_mc && kind != Curvature::fisher_empirical)
      throw UsageError(
          fmt::format("--precondition kfac: no Kronecker factors of {}, expected --kind ggn, fisher_mc or "
                      "fisher_empirical",
                      curvature_.name()));
    if (log_det_.empty() || !layers_.empty())
      throw UsageError("--precondition kfac: expected --log-det, and no --layers");
  }

  static double parse_number(const char* flag, const std::string& text) {
    const auto value = number_in<double>(text);
    if (!value || !std::isfinite(*value)) throw UsageError(fmt::format("{} {}: expected a finite number", flag, text));
    return *value;
  }
  double parse_damping() const {
    if (request_.method == SpectrumMethod::lanczos || request_.method == SpectrumMethod::trace)
      throw UsageError(fmt::format("--log-det: {} does not give it, expected --method dense or slq", method_));
    return parse_number("--log-det", log_det_);
  }
  double parse_near() const {
    if (request_.method != SpectrumMethod::lanczos && request_.method != SpectrumMethod::automatic)
      throw UsageError(fmt::format("--near: {} looks at no single place, expected --method lanczos or auto", method_));
    return parse_number("--near", near_);
  }

  /// Entries of theta that --layers names.
  template <class T>
  std::vector<Index> chosen(const Network<T>& network) const {
    std::vector<Index> out;
    for (const std::string& name : layers_) {
      const std::size_t before = out.size();
      for (const ParameterInfo& info : network.parameters)
        if (info.name == name || info.name.rfind(name + ".", 0) == 0)
          for (Index i = 0; i < info.shape.size(); ++i) out.push_back(info.offset + i);
      if (out.size() > before) continue;
      std::vector<std::string> names;
      for (const ParameterInfo& info : network.parameters) names.push_back(info.name);
      throw UsageError(fmt::format("--layers {}: no layer or parameter of that name, expected one of {}{}", name,
                                   fmt::join(names, ", "), did_you_mean(name, names)));
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  /// What the rank cannot exceed: every sample adds as many dimensions as its loss has curvature in.
  template <class T>
  Index largest_rank(const PlacedProblem<T>& placed) const {
    const Index n = placed.dimension(), rows = placed.data.size, outputs = placed.network.output.size();
    const Index classes = class_outputs(placed.network.loss, placed.network.output);
    if (placed.problem.options.weight_decay != 0) return n;
    switch (curvature_.kind()) {
      case Curvature::ggn:
        return std::min(
            n, rows * (placed.network.loss == LossKind::cross_entropy ? outputs - outputs / classes : outputs));
      case Curvature::fisher_empirical:
        return std::min(n, rows);
      case Curvature::gradient_outer:
        return 1;
      default:
        return n;
    }
  }

  /// Factors and what is made of them; none where none are asked for, or the log-determinant will be exact.
  template <class T>
  std::pair<std::unique_ptr<KroneckerOperator<T>>, SpectralPreconditioner<T>> preconditioner_of(
      const SpectrumPlan& plan, NetworkObjective<T>& objective, const PlacedProblem<T>& placed, double decay) const {
    if (precondition_ != "kfac" || plan.dense) return {};
    auto factors = objective.kronecker(placed.theta.data(), {.source = curvature_.kind()});
    SpectralPreconditioner<T> p = kronecker_preconditioner(*factors, *request_.damping, decay);
    return {std::move(factors), std::move(p)};
  }

  template <class T>
  void analyse(Problem& p) {
    const PlacedProblem<T> placed(p);
    const auto objective = placed.objective(curvature_.options());
    const double loss = placed.loss();
    announce_secant(placed.dimension(), sizeof(T));
    const auto whole = objective->curvature(placed.theta.data(), curvature_.kind());
    std::unique_ptr<LinearOperator<T>> part;
    if (!layers_.empty()) part = std::make_unique<RestrictedOperator<T>>(*whole, chosen(placed.network));
    LinearOperator<T>& a = part ? *part : *whole;
    SpectrumRequest request = request_;
    request.seed = p.options.seed;
    request.rank_at_most = largest_rank(placed);
    if (is_positive_semidefinite(curvature_.kind()))  // the decay is added to the Gauss-Newton matrix
      request.lower_bound = curvature_.kind() == Curvature::ggn ? p.options.weight_decay : 0;
    request.interrupted = [] { return SignalWatch::caught() != 0; };
    request.blocking = SignalWatch::end_at_once;
    SpectrumPlan plan = plan_spectrum(a, request);
    const auto [factors, preconditioner] = preconditioner_of(plan, *objective, placed, p.options.weight_decay);
    if (factors) plan = plan_preconditioned(a, request, plan, preconditioner);
    if (stops_after(memory_, placed.plan(plan.bytes), plan, name_of(plan.method), curvature_.name(), a.dimension()))
      return;
    if (!svg_.empty() && plan.method == SpectrumMethod::rank && !plan.dense)
      throw UsageError(
          fmt::format("--svg: the rank of n = {} is bounded without eigenvalues or their density, expected a matrix "
                      "that fits (as --method dense), or --method slq",
                      a.dimension()));
    if (!std::isfinite(loss)) throw NumericalError("loss: not finite at this theta, expected a finite number");
    const SignalWatch watch;  // what is known by then will be written
    const SignalScope scope;
    const auto start = std::chrono::steady_clock::now();
    const SpectrumAnalysis<T> analysis = analyze_spectrum(a, request, &plan, factors ? &preconditioner : nullptr);
    SpectrumResult result = result_of(analysis);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.model = p.model.name;
    result.kind = curvature_.name();
    result.layers = layers_;
    result.rows = placed.data.size;
    result.data = p.description.json();
    result.device = placed.context->name();
    result.precision = p.options.precision;
    result.high_water_bytes = placed.context->peak_bytes();
    if (analysis.vectors.size() > 0)
      write_result(vectors_, Shape{static_cast<Index>(analysis.eigenvalues.size()), analysis.n},
                   HostValues<T>(*placed.context, analysis.vectors).get());
    finish(result, watch.caught());
  }

  /// A secant matrix along the axes is formed before it can be planned.
  void announce_secant(Index n, std::size_t bytes) const {
    if (curvature_.kind() == Curvature::secant && curvature_.options().secant.steps == SecantSteps::axis)
      fmt::print(stderr, "plan: secant takes {} gradients and holds {:.1f} MB\n", n + 1,
                 1e-6 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(bytes));
  }

  void finish(const SpectrumResult& result, int signal) {
    const std::string text = to_json(result);
    if (!out_.empty()) write_text_atomically(out_, text);
    if (!svg_.empty()) write_text_atomically(svg_, to_svg(result));
    print_table(result);
    if (json_) fmt::print("{}", text);
    if (signal != 0)
      exit_code_ = 128 + signal;
    else if (result.failed)
      exit_code_ = static_cast<int>(ErrorKind::numerical);
  }

  const Command& command_;
  ProblemOptions problem_;
  MemoryFlags memory_;
  CurvatureFlags curvature_;
  int exit_code_ = 0;
  SpectrumRequest request_;
  std::string method_ = "auto", which_ = "largest", trace_method_ = "auto", near_, log_det_, precondition_ = "none",
              out_, vectors_, svg_;
  std::vector<std::string> layers_;
  bool json_ = false;
};

}  // namespace

void add_spectrum(CommandLine& line) {
  Command& command =
      line.add("spectrum", "eigenvalues, density, trace, log det and rank of a curvature matrix", kCurvatureSection);
  command.runs([spectrum = std::make_shared<SpectrumCommand>(command)] { return spectrum->run(); });
}

}  // namespace hso::cli
