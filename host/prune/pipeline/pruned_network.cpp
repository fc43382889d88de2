// SPDX-License-Identifier: Apache-2.0
#include "prune/pipeline/pruned_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "hsogpu/data/io.hpp"
#include "hsogpu/graph/tape.hpp"
#include "train/run_directory.hpp"
#include "train/run_files.hpp"

namespace hso {
namespace {

constexpr Index kCheckedRows = 256;
constexpr int kWarmUp = 3, kTimed = 31;

/// The first `rows` of the data on a tape for values.
template <class T>
std::unique_ptr<Tape<T>> bound_tape(Context& context, const Network<T>& network, const Dataset& data, Index rows) {
  auto tape = std::make_unique<Tape<T>>(context, network.graph, rows, 0);
  std::vector<T> inputs(static_cast<std::size_t>(rows * data.input_shape.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<T>(data.inputs[i]);
  const std::vector<T> targets(static_cast<std::size_t>(tape->target().size()), T(0));
  tape->bind(inputs, targets);
  return tape;
}

template <class T>
std::vector<double> outputs(Context& context, const Network<T>& network, const Dataset& data,
                            const std::vector<double>& theta, Index rows) {
  const auto tape = bound_tape(context, network, data, rows);
  const Buffer<T> point(context, std::vector<T>(theta.begin(), theta.end()));
  tape->forward(point.data());
  const View<const T> z = tape->output();
  std::vector<T> values(static_cast<std::size_t>(z.size()));
  context.to_host(z.data, values.data(), z.size() * static_cast<Index>(sizeof(T)));
  return {values.begin(), values.end()};
}

double largest(const std::vector<double>& x) {
  double top = 0;
  for (const double v : x) top = std::max(top, std::abs(v));
  return top;
}

Index tensors(const ModelSpec& model, LossKind loss, std::vector<Index>& sizes) {
  for (const ParameterInfo& p : build_network<double>(model, loss).parameters) sizes.push_back(p.shape.size());
  return static_cast<Index>(sizes.size());
}

/// Dense, or kept values and a bit for each parameter where that is less.
Index bytes_of(const ModelSpec& model, const Mask& mask, const TrainOptions& options) {
  const Index number = options.precision == "float64" ? 8 : 4;
  std::vector<Index> sizes;
  tensors(model, options.loss, sizes);
  Index bits = 0;
  for (const Index size : sizes) bits += (size + 7) / 8;
  return std::min(mask.size() * number, mask.count() * number + bits);
}

/// A network and a batch, ready to be timed.
template <class T>
class ForwardPass {
 public:
  ForwardPass(Context& context, const ModelSpec& model, LossKind loss, const Dataset& data,
              const std::vector<double>& theta, Index rows)
      : context_(context),
        network_(build_network<T>(model, loss)),
        tape_(bound_tape(context, network_, data, std::min(rows, data.size))),
        point_(context, std::vector<T>(theta.begin(), theta.end())) {}
  ForwardPass(const ForwardPass&) = delete;  // the tape refers to the network
  ForwardPass& operator=(const ForwardPass&) = delete;
  double milliseconds() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    tape_->forward(point_.data());
    context_.synchronize();
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }

 private:
  Context& context_;
  Network<T> network_;
  std::unique_ptr<Tape<T>> tape_;
  Buffer<T> point_;
};

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// Medians of passes in turn: what the machine does meanwhile falls on both.
template <class T>
std::pair<double, double> in_turn(ForwardPass<T> before, ForwardPass<T> after) {
  std::vector<double> first, second;
  for (int i = 0; i < kWarmUp + kTimed; ++i) {
    const double a = before.milliseconds(), b = after.milliseconds();
    if (i < kWarmUp) continue;
    first.push_back(a);
    second.push_back(b);
  }
  return {median(first), median(second)};
}

/// In the run's own precision.
template <class T>
void time_both(Context& context, const SavedRun& run, const Dataset& data, Index rows, PruneResult& result) {
  const auto pass = [&](const ModelSpec& model, const std::vector<double>& theta) {
    return ForwardPass<T>(context, model, run.options.loss, data, theta, rows);
  };
  std::tie(result.size_before.milliseconds, result.size_after.milliseconds) =
      in_turn(pass(run.model, run.theta), pass(result.shrunk.model, result.shrunk.theta));
}

NetworkSize size_of(const ModelSpec& model, const Mask& mask, const TrainOptions& options) {
  NetworkSize out;
  out.parameters = mask.size();
  out.nonzero = mask.count();
  out.bytes = bytes_of(model, mask, options);
  out.multiply_adds = multiply_adds(model, mask);
  return out;
}

std::string removals_csv(const PruneResult& result, const std::vector<ParameterInfo>& parameters) {
  std::string out = "stage,parameter,tensor,index,predicted,actual\n";
  const auto number = [](double v) { return std::isfinite(v) ? fmt::format("{:.9g}", v) : std::string(); };
  for (const PruneRecord& r : result.removals) {
    const Index j = r.removal.parameter;
    const auto p = std::find_if(parameters.begin(), parameters.end(), [j](const ParameterInfo& info) {
      return info.offset <= j && j < info.offset + info.shape.size();
    });
    const bool named = p != parameters.end();
    out += fmt::format("{},{},{},{},{},{}\n", r.stage + 1, j, named ? p->name : "", named ? j - p->offset : j,
                       number(r.removal.predicted), number(r.actual));
  }
  return out;
}

template <class T>
void write(const PruneOptions& options, const SavedRun& run, const PrunePlace<T>& place, PruneResult& result) {
  RunDirectory directory(options.run_directory, options.overwrite);
  directory.clear();
  TrainOptions saved = run.options;
  saved.run_directory = result.run_directory = directory.path();
  saved.start = options.checkpoint;
  const ShrunkModel& small = result.shrunk;
  const auto network = build_network<double>(small.model, saved.loss);
  write_description(directory, {saved, small.model, run.standardizer, &place.context, place.split.train.size,
                                place.split.test.size, &result.data});
  const SavedModel model{network.parameters, network.statistics, saved, small.mask};
  write_parameters(directory, {small.theta, network.graph.statistics(), model});
  write_sparse(directory.file("sparse.safetensors"), small.theta, small.mask, network.parameters, saved.precision);
  write_text_atomically(directory.file("removals.csv"), removals_csv(result, place.network.parameters));
  write_text_atomically(directory.file("prune.json"), prune_json(options, result));
  directory.keep();
}

}  // namespace

template <class T>
void conclude(const PruneOptions& options, const SavedRun& run, const PrunePlace<T>& place, PruneResult& result) {
  result.shrunk = shrink(run.model, result.theta, result.mask);
  const ShrunkModel& small = result.shrunk;
  const Index rows = std::min(kCheckedRows, place.split.train.size);
  const auto masked = outputs(place.context, place.network, place.split.train, result.theta, rows);
  const auto shrunken =
      outputs(place.context, build_network<T>(small.model, run.options.loss), place.split.train, small.theta, rows);
  std::vector<double> difference(masked.size());
  std::transform(masked.begin(), masked.end(), shrunken.begin(), difference.begin(), std::minus<>());
  const double scale = largest(masked);
  result.shrink_difference = scale > 0 ? largest(difference) / scale : largest(difference);
  result.size_before = size_of(run.model, run.mask, run.options);
  result.size_after = size_of(small.model, small.mask, run.options);
  if (options.timing_rows > 0) {
    const bool wide = run.options.precision == "float64";
    const auto time = wide ? time_both<double> : time_both<float>;
    time(place.context, run, place.split.train, options.timing_rows, result);
  }
  if (!options.run_directory.empty()) write(options, run, place, result);
}

template void conclude<float>(const PruneOptions&, const SavedRun&, const PrunePlace<float>&, PruneResult&);
template void conclude<double>(const PruneOptions&, const SavedRun&, const PrunePlace<double>&, PruneResult&);

}  // namespace hso
