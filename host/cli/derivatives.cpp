// SPDX-License-Identifier: Apache-2.0
#include "cli/derivatives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"
#include "io/shown_text.hpp"

namespace hso::cli {

void require_finite(Span<const double> values, const std::string& source) {
  const auto bad = std::find_if(values.begin(), values.end(), [](double value) { return !std::isfinite(value); });
  if (bad == values.end()) return;
  throw InputError(fmt::format("{}: found {} at position {}, expected finite numbers", source, unsigned_nan(*bad),
                               bad - values.begin()));
}

Array read_vectors(const std::string& path, Index n) {
  Array v = read_npy(path);
  const int rank = v.shape.rank();
  if ((rank != 1 && rank != 2) || v.shape[rank - 1] != n || v.shape.size() == 0)
    throw InputError(
        fmt::format("--vector {}: found shape {}, expected [{}] or [K, {}]", path, v.shape.to_string(), n, n));
  require_finite(v.values, "--vector " + path);
  return v;
}

namespace {

template <class T>
Buffer<T> placed(Context& context, const Problem& problem) {
  const std::vector<T> narrowed(problem.theta.begin(), problem.theta.end());
  return Buffer<T>(context, Span<const T>(narrowed));
}

}  // namespace

template <class T>
PlacedProblem<T>::PlacedProblem(const Problem& p)
    : problem(p),
      context(Context::create(p.options.device, {.tf32 = p.options.tf32, .deterministic = p.options.deterministic})),
      network(build_network<T>(p.model, p.options.loss)),
      data(*context, network, p.data),
      theta(placed<T>(*context, p)) {}

template <class T>
std::unique_ptr<NetworkObjective<T>> PlacedProblem<T>::objective(const NetworkObjectiveOptions& base) const {
  NetworkObjectiveOptions options = base;
  options.batch = std::min(problem.options.device_batch, data.size);
  options.weight_decay = problem.options.weight_decay;
  options.fisher_seed = problem.options.seed;
  return std::make_unique<NetworkObjective<T>>(*context, network, data, options);
}

template <class T>
std::string PlacedProblem<T>::description() const {
  return fmt::format("{}: n = {}, {} rows, {}, {} on {}, theta from {}", shown(problem.model.name), dimension(),
                     data.size, name_of(problem.options.loss), sizeof(T) == 8 ? "float64" : "float32", context->name(),
                     problem.theta_source);
}

template <class T>
void write_result(const std::string& path, const Shape& shape, Span<const T> values) {
  if (!std::all_of(values.begin(), values.end(), [](T value) { return std::isfinite(value); }))
    throw NumericalError(fmt::format("{}: not written, the result is not finite", path));
  write_npy<T>(path, shape, values);
}

void print_plan(const SpectrumPlan& plan, const std::string& method, const std::string& kind, Index n,
                const Context& context) {
  const std::string products = plan.products > 0 ? fmt::to_string(plan.products) : std::string("as many as it takes");
  fmt::print(stderr, "plan: {} of {} (n = {}), {:.1f} MB in all, {:.1f} MB are free; products: {}, {:.2g} s each{}\n",
             method, kind, n, static_cast<double>(plan.bytes) / 1e6,
             static_cast<double>(context.memory().free_bytes) / 1e6, products, plan.product_seconds,
             plan.products > 0 ? fmt::format("; about {:.2g} s", plan.seconds()) : std::string());
}

void print_loss(double loss, const Problem& problem, bool json) {
  if (!std::isfinite(loss))
    throw NumericalError(fmt::format("loss: found {} at this theta, expected a finite number", unsigned_nan(loss)));
  using Json = nlohmann::ordered_json;
  if (json)
    fmt::print("{}\n", Json{{"loss", loss}, {"data", Json::parse(problem.description.json())}}.dump());
  else
    fmt::print("{}\n", loss);
  std::fflush(stdout);
}

template struct PlacedProblem<float>;
template struct PlacedProblem<double>;
template void write_result(const std::string&, const Shape&, Span<const float>);
template void write_result(const std::string&, const Shape&, Span<const double>);

}  // namespace hso::cli
