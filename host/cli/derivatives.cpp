// SPDX-License-Identifier: Apache-2.0
#include "cli/derivatives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/shown_text.hpp"
#include "train/memory_plan.hpp"
#include "train/placed_data.hpp"

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
Buffer<T> placed(Context& context, Problem& problem) {
  const std::vector<double> theta = std::exchange(problem.theta, {});
  const std::vector<T> narrowed(theta.begin(), theta.end());
  return Buffer<T>(context, Span<const T>(narrowed));
}

template <class T>
DeviceData<T> placed_data(Context& context, const Network<T>& network, Problem& problem) {
  DataSplit own{std::exchange(problem.data, {}), {}};
  return PlacedData<T>(context, network, own, &own).train;
}

}  // namespace

template <class T>
PlacedProblem<T>::PlacedProblem(Problem& p)
    : problem(p),
      context(Context::create(p.options.device, {.tf32 = p.options.tf32, .deterministic = p.options.deterministic})),
      network(build_network<T>(p.model, p.options.loss)),
      data(placed_data<T>(*context, network, p)),
      rows(p.options.device_batch > 0 ? std::min(p.options.device_batch, data.size)
                                      : rows_that_fit(*context, network.graph, data.size)),
      theta(placed<T>(*context, p)),
      reading_bytes_(context->is_cuda() ? p.reading_bytes : p.before.most_growth()) {}

template <class T>
double PlacedProblem<T>::loss() const {
  return objective({.batch = few_rows(), .lanes = 1})->value(theta.data());
}

template <class T>
MemoryPlan PlacedProblem<T>::plan(Index device, Index copies) const {
  return plan_of(*context, device, copies, reading_bytes_);
}

template <class T>
std::unique_ptr<NetworkObjective<T>> PlacedProblem<T>::objective(const NetworkObjectiveOptions& base) const {
  NetworkObjectiveOptions options = base;
  options.batch = base.batch > 0 ? std::min(base.batch, rows) : rows;
  options.weight_decay = problem.options.weight_decay;
  options.fisher_seed = problem.options.seed;
  auto made = std::make_unique<NetworkObjective<T>>(*context, network, data, options);
  made->set_training(problem.training);
  return made;
}

template <class T>
std::string PlacedProblem<T>::description() const {
  return fmt::format("{}: n = {}, {} rows, {}, {} on {}, theta from {}{}", shown(problem.model.name), dimension(),
                     data.size, name_of(problem.options.loss), sizeof(T) == 8 ? "float64" : "float32", context->name(),
                     problem.theta_source, problem.training ? ", as in training" : "");
}

template <class T>
void write_result(const std::string& path, const Shape& shape, Span<const T> values) {
  if (!std::all_of(values.begin(), values.end(), [](T value) { return std::isfinite(value); }))
    throw NumericalError(fmt::format("{}: not written, the result is not finite", path));
  write_npy<T>(path, shape, values);
}

bool stops_after(const MemoryFlags& flags, const MemoryPlan& memory, const SpectrumPlan& plan,
                 const std::string& method, const std::string& kind, Index n) {
  const std::string products = plan.products > 0 ? fmt::to_string(plan.products) : std::string("as many as it takes");
  return flags.stops_after(
      memory, fmt::format("plan: {} of {} (n = {})", method, kind, n),
      fmt::format("; products: {}, {:.2g} s each{}", products, plan.product_seconds,
                  plan.products > 0 ? fmt::format("; about {:.2g} s", plan.seconds()) : std::string()));
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
