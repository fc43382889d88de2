// SPDX-License-Identifier: Apache-2.0
//
// hso spectrum: eigenvalues, density, trace and rank of a curvature matrix of a model on data.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "cli/commands.hpp"
#include "cli/derivatives.hpp"
#include "cli/signals.hpp"
#include "cli/spectrum_result.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"
#include "io/suggest.hpp"

namespace hso::cli {
namespace {

const std::vector<std::string> kMethods{"auto", "dense", "lanczos", "slq", "trace", "rank"};
constexpr Index kDenseAtMost = 4096;  // `auto` takes the direct method up to here

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What a method needs, known before it starts.
struct Plan {
  std::string method;
  Index bytes = 0, products = 0;
  double product_seconds = 0;
};

class SpectrumCommand {
 public:
  SpectrumCommand(CLI::App& command, int& exit_code) : problem_(command), exit_code_(exit_code) {
    command.add_option("--kind", kind_, "hessian, ggn, fisher_mc, fisher_empirical, gradient_outer, finite_difference");
    command.add_option(
        "--method", method_,
        "dense: all eigenvalues; lanczos: --k at an end; slq: density, trace and norm from probes; trace; "
        "rank; auto: dense up to n = 4096, lanczos and slq above");
    command.add_option("--layers", layers_,
                       "layers or parameters by name, as 0 or 2.weight: their diagonal block [all]");
    command.add_option("--k", k_, "eigenvalues that lanczos looks for [10]")->check(CLI::PositiveNumber);
    command.add_option("--which", which_, "largest, smallest, both or magnitude [largest]");
    command.add_option("--block", block_, "vectors that lanczos multiplies at once [1]")->check(CLI::PositiveNumber);
    command.add_option("--tolerance", tolerance_, "of lanczos, residual over largest value [1e-8]");
    command.add_option("--max-products", max_products_, "vectors that lanczos may multiply [20 n]");
    command.add_option("--probes", probes_, "random probes of slq and trace [30]")->check(CLI::PositiveNumber);
    command.add_option("--probe-steps", steps_, "Lanczos steps of each probe [80]")->check(CLI::PositiveNumber);
    command.add_option("--trace-method", trace_method_, "hutchinson, hutch_plus_plus or xtrace [hutchinson]");
    command.add_flag("--plan", plan_, "print what it would take, and stop");
    command.add_flag("--json", json_, "print the result as JSON");
    command.add_option("--out", out_, "where the JSON goes, as spectrum.json");
    command.add_option("--vectors", vectors_, "where eigenvectors go: .npy, [k][n], row i of value i");
    command.add_option("--svg", svg_, "where a picture of density and eigenvalues goes");
  }

  void run() {
    parse();
    for (const std::string& path : {out_, vectors_, svg_})
      if (!path.empty()) require_folder_of(path);
    const Problem p = problem_.load();
    with_precision(p.options.precision, [&](auto zero) { analyse<decltype(zero)>(p); });
  }

 private:
  void parse() {
    curvature_ = parse_curvature(kind_);
    end_ = parse_spectrum_end(which_);
    trace_kind_ = parse_trace_method(trace_method_);
    if (std::find(kMethods.begin(), kMethods.end(), method_) == kMethods.end())
      throw UsageError(fmt::format("--method {}: expected one of auto, dense, lanczos, slq, trace, rank{}", method_,
                                   did_you_mean(method_, kMethods)));
    if (!vectors_.empty() && (method_ == "slq" || method_ == "trace"))
      throw UsageError(fmt::format("--vectors: {} has no eigenvectors, expected --method dense or lanczos", method_));
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

  template <class T>
  void analyse(const Problem& p) {
    const PlacedProblem<T> placed(p);
    const auto objective = placed.objective();
    const auto whole = objective->curvature(placed.theta.data(), curvature_);
    std::unique_ptr<LinearOperator<T>> part;
    if (!layers_.empty()) part = std::make_unique<RestrictedOperator<T>>(*whole, chosen(placed.network));
    LinearOperator<T>& a = part ? *part : *whole;
    result_ = {};
    result_.model = p.model.name;
    result_.kind = kind_;
    result_.layers = layers_;
    result_.n = a.dimension();
    result_.rows = placed.data.size;
    result_.device = placed.context->name();
    result_.precision = p.options.precision;
    seed_ = p.options.seed;
    const Plan plan = make_plan(a);
    print_plan(plan, a.context());
    if (plan_) return;
    if (!std::isfinite(objective->value(placed.theta.data())))
      throw NumericalError("loss: not finite at this theta, expected a finite number");
    const double start = seconds_now();
    compute(a, plan.method);
    result_.seconds = seconds_now() - start;
    finish();
  }

  template <class T>
  Plan make_plan(LinearOperator<T>& a) const {
    const Index n = a.dimension(), vector = n * static_cast<Index>(sizeof(T));
    Plan plan;
    plan.method = method_ != "auto" ? method_ : n <= kDenseAtMost ? "dense" : "lanczos+slq";
    if (plan.method == "dense" || plan.method == "rank") {
      plan.bytes = checked_multiply(n, vector) + eigh_bytes<T>(a.context(), n);
      plan.products = n;
    }
    if (plan.method.find("lanczos") != std::string::npos)
      plan.bytes = (std::min<Index>(n, std::max<Index>(256, 4 * (k_ + block_))) + 2 * block_) * vector;
    if (plan.method.find("slq") != std::string::npos) {
      plan.bytes = std::max(plan.bytes, 3 * std::min<Index>(probes_, 32) * vector);
      plan.products += probes_ * std::min(steps_, n);
    }
    if (plan.method == "trace") {
      plan.bytes = (trace_kind_ == TraceMethod::hutchinson ? 2 * std::min<Index>(probes_, 32) : 3 * probes_) * vector;
      plan.products = probes_;
    }
    plan.product_seconds = time_product(a);
    return plan;
  }

  /// Seconds of one direction when 8 go together.
  template <class T>
  static double time_product(LinearOperator<T>& a) {
    const Index n = a.dimension(), lanes = std::min<Index>(8, n);
    Buffer<T> v(a.context(), lanes * n), av(a.context(), lanes * n);
    a.context().template ops<T>().fill(lanes * n, T(1), v.data());
    double best = std::numeric_limits<double>::infinity();
    for (int round = 0; round < 3; ++round) {
      const double start = seconds_now();
      a.apply(vector_view<const T>(v.data(), n, lanes), vector_view(av.data(), n, lanes));
      a.context().synchronize();
      best = std::min(best, (seconds_now() - start) / static_cast<double>(lanes));
    }
    return best;
  }

  void print_plan(const Plan& plan, const Context& context) const {
    const std::string products = plan.products > 0 ? fmt::to_string(plan.products) : std::string("as many as it takes");
    fmt::print(stderr, "plan: {} of {} (n = {}), {:.1f} MB beside the network, {:.1f} MB are free; products: {}",
               plan.method, kind_, result_.n, static_cast<double>(plan.bytes) / 1e6,
               static_cast<double>(context.memory().free_bytes) / 1e6, products);
    fmt::print(stderr, ", {:.2g} s each\n", plan.product_seconds);
  }

  template <class T>
  void compute(LinearOperator<T>& a, const std::string& method) {
    result_.method = method;
    if (method == "dense" || method == "rank") dense(a);
    if (method.find("lanczos") != std::string::npos) ends(a);
    if (interrupted_ == 0 && method.find("slq") != std::string::npos) density(a);
    if (method == "trace") traces(a);
  }

  template <class T>
  void dense(LinearOperator<T>& a) {
    const Index n = a.dimension();
    Context& context = a.context();
    require_memory(context, fmt::format("--method {}: the dense matrix and its eigendecomposition", result_.method), n,
                   [&](Index m) {
                     return checked_multiply(checked_multiply(m, m), static_cast<Index>(sizeof(T))) +
                            eigh_bytes<T>(context, m);
                   });
    Buffer<T> h(context, checked_multiply(n, n));
    a.to_dense(h.data());
    EighOptions options;
    options.check_residual = true;
    const EighResult r = eigh(context, h.view().reshaped({n, n}), options);
    if (!r.ok())
      throw NumericalError(fmt::format("--method {}: eigendecomposition: {}", result_.method, name_of(r.status)));
    for (const std::string& detour : r.fallbacks) result_.notes.push_back("eigendecomposition by " + detour);
    result_.products = n;
    result_.complete = true;
    result_.stop = "direct";
    result_.eigenvalues = r.values;
    const SpectrumSummary s = summarize_spectrum(r.values, spectrum_tolerance<T>(n));
    // The largest entry of A x - value x was measured: its norm is at most sqrt(n) times that.
    const double entry = r.residual * spectrum_tolerance<T>(n) * s.largest;
    result_.residuals.assign(r.values.size(), std::sqrt(static_cast<double>(n)) * entry);
    result_.summary = s;
    result_.summary_means_something = sizeof(T) == sizeof(double) || s.inertia.zero == 0;
    result_.exact_trace = std::accumulate(r.values.begin(), r.values.end(), 0.0);
    result_.exact_frobenius_squared = std::inner_product(r.values.begin(), r.values.end(), r.values.begin(), 0.0);
    // Two equal "probes" of all eigenvalues: the exact density, with no error bar.
    SpectralDensity exact;
    exact.n = n;
    exact.nodes.assign(2, r.values);
    exact.weights.assign(2, std::vector<double>(r.values.size(), 1 / static_cast<double>(n)));
    result_.density = density_curve(exact);
    if (!vectors_.empty()) write_result(vectors_, Shape{n, n}, HostValues<T>(context, h).get());
  }

  template <class T>
  void ends(LinearOperator<T>& a) {
    const SignalWatch watch;
    LanczosOptions o;
    o.count = std::min(k_, a.dimension());
    o.which = end_;
    o.block = block_;
    o.tolerance = tolerance_;
    o.max_products = max_products_;
    o.seed = seed_;
    o.vectors = !vectors_.empty();
    o.interrupted = [&] { return watch.caught() != 0; };
    EigenPairs<T> pairs = lanczos(a, o);
    interrupted_ = watch.caught();
    result_.products += pairs.products;
    result_.eigenvalues = pairs.values;
    result_.residuals = pairs.residuals;
    result_.stop = pairs.stop;
    result_.complete = static_cast<Index>(pairs.values.size()) == a.dimension();
    if (!pairs.all_converged()) {
      result_.failed = true;
      result_.notes.push_back(fmt::format("lanczos: {} of {} eigenvalues converged in {} products ({})",
                                          pairs.converged, o.count, pairs.products, pairs.stop));
    }
    if (!vectors_.empty() && !pairs.values.empty())
      write_result(vectors_, Shape{static_cast<Index>(pairs.values.size()), a.dimension()},
                   HostValues<T>(a.context(), pairs.vectors).get());
  }

  template <class T>
  void density(LinearOperator<T>& a) {
    const SpectralDensity d = spectral_density(a, {.probes = probes_, .steps = steps_, .seed = seed_});
    result_.products += d.products;
    if (d.stop == "not_finite") {
      result_.failed = true;
      result_.notes.push_back("slq: a product was not finite");
      return;
    }
    result_.trace = d.trace();
    result_.frobenius_squared = d.frobenius_squared();
    result_.density = density_curve(d);
    if (result_.stop.empty()) result_.stop = d.stop;
  }

  template <class T>
  void traces(LinearOperator<T>& a) {
    result_.trace = trace(a, {.method = trace_kind_, .products = probes_, .seed = seed_});
    result_.products += probes_;
    result_.stop = "probes";
  }

  void finish() {
    const std::string text = to_json(result_);
    if (!out_.empty()) write_text_atomically(out_, text);
    if (!svg_.empty()) write_text_atomically(svg_, to_svg(result_));
    print_table(result_);
    if (json_) fmt::print("{}", text);
    if (interrupted_ != 0)
      exit_code_ = 128 + interrupted_;
    else if (result_.failed)
      exit_code_ = static_cast<int>(ErrorKind::numerical);
  }

  ProblemOptions problem_;
  int& exit_code_;
  std::string kind_ = "hessian", method_ = "auto", which_ = "largest", trace_method_ = "hutchinson", out_, vectors_,
              svg_;
  std::vector<std::string> layers_;
  Index k_ = 10, block_ = 1, probes_ = 30, steps_ = 80, max_products_ = 0;
  double tolerance_ = 1e-8;
  bool plan_ = false, json_ = false;
  Curvature curvature_ = Curvature::hessian;
  SpectrumEnd end_ = SpectrumEnd::largest;
  TraceMethod trace_kind_ = TraceMethod::hutchinson;
  std::uint64_t seed_ = 0;
  int interrupted_ = 0;  ///< the signal
  SpectrumResult result_;
};

}  // namespace

void add_spectrum(CLI::App& app, int& exit_code) {
  CLI::App& command = *app.add_subcommand("spectrum", "eigenvalues, density, trace and rank of a curvature matrix");
  const auto options = std::make_shared<SpectrumCommand>(command, exit_code);
  command.callback([options] { options->run(); });
}

}  // namespace hso::cli
