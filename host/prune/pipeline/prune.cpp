// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/prune/prune.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "backend/process_memory.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/prune/removal.hpp"
#include "prune/pipeline/pruned_network.hpp"
#include "prune/select/remembered_curvature.hpp"
#include "prune/select/removal_memory.hpp"
#include "train/data_request.hpp"
#include "train/fields.hpp"
#include "train/memory_plan.hpp"
#include "train/placed_data.hpp"
#include "train/run_directory.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr Index kRowsAtATime = 2048;

void check(const PruneOptions& o) {
  const auto share = [](const char* name, double value) {
    if (!(value >= 0 && value < 1))
      throw UsageError(fmt::format("prune: {} {}, expected a share in [0, 1)", name, value));
  };
  share("sparsity", o.sparsity);
  share("multiply_adds", o.multiply_adds);
  for (const auto& [name, value] : {std::pair{"keep", o.keep},
                                    {"finetune_epochs", o.finetune_epochs},
                                    {"finetune_steps", o.finetune_steps},
                                    {"rows", o.rows},
                                    {"device_batch", o.device_batch},
                                    {"timing_rows", o.timing_rows},
                                    {"points", o.points}})
    if (value < 0) throw UsageError(fmt::format("prune: {} {}, expected at least 0", name, value));
  if (o.precision != "float32" && o.precision != "float64")
    throw UsageError(fmt::format("precision: found '{}', expected float32 or float64", o.precision));
  if (o.multiply_adds > 0 && o.granularity == Granularity::weights)
    throw UsageError("prune: a share of the multiply-adds goes with whole units alone");
  if (o.granularity != Granularity::weights &&
      (o.schedule.kind == PruneSchedule::Kind::single || o.rule.pattern || o.rule.per_layer || o.keep > 0))
    throw UsageError("prune: whole units go by sparsity or multiply_adds, in oneshot, iterative or gradual stages");
  if (o.rule.pattern && (o.schedule.kind != PruneSchedule::Kind::one_shot || o.rule.per_layer || o.keep > 0))
    throw UsageError("prune: a pattern N:M says itself how many go, in one stage");
  if (!o.run_directory.empty()) RunDirectory::check(o.run_directory, o.overwrite);
}

/// What does not depend on the precision.
struct Inputs {
  explicit Inputs(const PruneOptions& options) {
    check(options);
    before = {};
    run = load_run(options.checkpoint);
    RunDirectory::require_other("prune " + options.checkpoint, options.run_directory, run.options.run_directory);
    tuned = options.finetune ? options.finetune(run.options) : run.options;
    check_train_options(tuned);
    if (run.mask.kept.empty()) run.mask = Mask::all(static_cast<Index>(run.theta.size()));
    DataRequest request = data_request(run.options, run);
    request.single = options.precision == "float32";
    data = prepare_data(run.model, run.options.loss, request);
    reading_bytes = before.most_growth();
    context = Context::create(options.device, {.tf32 = run.options.tf32, .deterministic = run.options.deterministic});
  }
  detail::MemoryMark before;  ///< anything is read
  SavedRun run;
  TrainOptions tuned;
  PreparedData data;
  Index reading_bytes = 0;  ///< of host memory
  std::unique_ptr<Context> context;
};

template <class T>
class Pruning {
 public:
  Pruning(const PruneOptions& options, const PruneHooks& hooks)
      : options_(options),
        hooks_(hooks),
        in_(options),
        context_(*in_.context),
        network_(build_network<T>(in_.run.model, in_.run.options.loss)),
        placed_(context_, network_, in_.data.split, nullptr),
        curvature_(context_, network_, placed_.train, objective_options(in_.run.options.weight_decay)),
        train_(context_, network_, placed_.train, objective_options(0)),
        remembered_(curvature_, options.memory.get()) {
    if (placed_.test) test_.emplace(context_, network_, *placed_.test, objective_options(0));
    if (options.rows > 0 && options.rows < in_.data.split.train.size) {
      const auto order = shuffled_indices(in_.data.split.train.size, options.rule.seed);
      curvature_.select({order.data(), static_cast<std::size_t>(options.rows)});
    }
    result_.data = in_.data.description;
    if (hooks.on_data) hooks.on_data(result_.data);
    if (hooks.on_plan) hooks.on_plan(plan());
    result_.theta = in_.run.theta;
    result_.mask = in_.run.mask;
    result_.device = context_.description();
  }

  PruneResult run() {
    std::tie(result_.train_before, result_.test_before) = evaluate();
    result_.complete = true;
    {
      const InterruptScope scope(hooks_.blocking, [this] { return interrupted_result(); });
      stages();
    }
    const InterruptScope to_the_end({});  // what follows writes what is known
    conclude<T>(options_, in_.run, {context_, in_.data.split, network_}, result_);
    return std::move(result_);
  }

 private:
  NetworkObjectiveOptions objective_options(double decay) const {
    const Index rows = options_.device_batch > 0 ? options_.device_batch : kRowsAtATime;
    NetworkObjectiveOptions o{std::min(rows, in_.data.split.train.size), 0, decay};
    o.fisher_seed = options_.rule.seed;
    return o;
  }

  /// The host keeps the data, for the fine-tuning and the checks at the end, and some copies of theta.
  MemoryPlan plan() {
    constexpr Index kThetas = 6;
    const Dataset &train = in_.data.split.train, &test = in_.data.split.test;
    const ParameterLayout layout = parameter_layout(*in_.context, network_);
    const Index rows = objective_options(0).batch;
    const auto tape = [&](Index lanes) { return Tape<T>::bytes(context_, network_.graph, rows, lanes); };
    const Index tapes = tape(curvature_.lanes()) + tape(0);
    Index work = removal_bytes<T>(context_, layout, in_.run.mask.count(), train.size, options_.rule);
    const auto values =
        static_cast<Index>(train.inputs.size() + train.targets.size() + test.inputs.size() + test.targets.size());
    if (options_.finetune_epochs > 0 || options_.finetune_steps > 0) work = std::max(work, finetuning(layout, values));
    const Index device = context_.allocated_bytes() + 3 * tapes + work + kScratchBytes;
    const Index doubles = checked_multiply(values + kThetas * layout.n, static_cast<Index>(sizeof(double)));
    return plan_of(context_, device, doubles, in_.reading_bytes);
  }
  Index finetuning(const ParameterLayout& layout, Index values) {
    const ModelSpec& model = in_.run.model;
    const LossKind loss = in_.run.options.loss;
    if (in_.tuned.precision == "float64")
      return finetuning_bytes<double>(context_, build_network<double>(model, loss).graph, layout, values, in_.tuned);
    return finetuning_bytes<float>(context_, build_network<float>(model, loss).graph, layout, values, in_.tuned);
  }

  /// A stage that is left in its middle was none; the first one leaves nothing to be written.
  void stages() {
    try {
      options_.granularity == Granularity::weights ? weight_stages() : unit_stages();
    } catch (const Interrupted&) {
      if (result_.stages.empty()) throw;
      go_back();
    }
  }

  void go_back() {
    result_.theta = before_stage_.theta;
    result_.mask = before_stage_.mask;
    result_.removals.resize(before_stage_.removals);
    result_.complete = false;
  }

  /// What is known in the middle of work that cannot be left, and on the disk. The device is at work for the stage.
  PruneResult interrupted_result() {
    if (result_.stages.empty()) throw Interrupted();
    go_back();
    const auto another = Context::create(
        options_.device, {.tf32 = in_.run.options.tf32, .deterministic = in_.run.options.deterministic});
    conclude<T>(options_, in_.run, {*another, in_.data.split, network_}, result_);
    return result_;
  }

  std::pair<Evaluation, Evaluation> evaluate() {
    const Buffer<T> point(context_, std::vector<T>(result_.theta.begin(), result_.theta.end()));
    Evaluation none;
    none.loss = std::numeric_limits<double>::quiet_NaN();
    return {train_.evaluate(point.data()), test_ ? test_->evaluate(point.data()) : none};
  }
  double loss() { return loss(result_.theta); }
  double loss(const std::vector<double>& theta) {
    const Buffer<T> point(context_, std::vector<T>(theta.begin(), theta.end()));
    return curvature_.value(point.data());
  }

  void weight_stages() {
    const std::vector<std::uint8_t> ever = removable_parameters(curvature_.layout(), options_.rule);
    const Index all = std::count(ever.begin(), ever.end(), std::uint8_t{1});
    Index before = 0;
    for (std::size_t j = 0; j < ever.size(); ++j) before += ever[j] != 0 && result_.mask.kept[j] != 0 ? 1 : 0;
    const Index after = kept_at_the_end(all, before);
    Index kept = before;
    for (const Index goal : kept_after_stages(options_.schedule, before, after)) {
      const double sparsity = 1 - static_cast<double>(goal) / static_cast<double>(std::max<Index>(1, all));
      RemovalTarget target{kept - goal, options_.rule.per_layer ? std::max(0.0, sparsity) : 0};
      target.points = options_.points;
      target.watch = [this](Index removals, double predicted, const std::vector<double>& theta) {
        current_.points.push_back({removals, predicted, loss(theta) - current_.loss_before});
      };
      stage([&] { return remove_parameters<T>(remembered_, result_.theta, result_.mask, target, options_.rule); });
      kept = goal;
      if (stop()) return;
    }
  }

  /// Of `all` removable parameters.
  Index kept_at_the_end(Index all, Index before) const {
    Index after = all - static_cast<Index>(std::llround(options_.sparsity * static_cast<double>(all)));
    if (options_.keep > 0) after = before - (result_.mask.count() - options_.keep);
    if (options_.keep > result_.mask.count())
      throw UsageError(fmt::format("prune: keep {}, expected at most the {} parameters that are there", options_.keep,
                                   result_.mask.count()));
    if (options_.rule.pattern) return 0;  // the pattern says how many
    if (after < 0)
      throw UsageError(fmt::format("prune: keep {}, expected at least the {} that may not be removed", options_.keep,
                                   result_.mask.count() - before));
    if (after > before)
      throw UsageError(
          fmt::format("prune: {} of {} removable parameters are gone already, expected a sparsity of at "
                      "least {:.6g}",
                      all - before, all, 1 - static_cast<double>(before) / static_cast<double>(all)));
    return after;
  }

  void unit_stages() {
    const Index whole = 1'000'000;  // shares in millionths: the schedules count
    const bool work = options_.multiply_adds > 0;
    const double goal = work ? options_.multiply_adds : options_.sparsity;
    for (const Index left :
         kept_after_stages(options_.schedule, whole, static_cast<Index>(std::llround((1 - goal) * whole)))) {
      const double share = 1 - static_cast<double>(left) / whole;
      const UnitTarget target{work ? share : 0, work ? 0 : share};
      stage([&] {
        return remove_units<T>(remembered_, in_.run.model, result_.theta, result_.mask, target, options_.rule,
                               options_.granularity);
      });
      if (stop()) return;
    }
  }

  bool stop() {
    if (!hooks_.interrupted || !hooks_.interrupted()) return false;
    result_.complete = false;
    return true;
  }

  template <class Remove>
  void stage(const Remove& remove) {
    before_stage_ = {result_.theta, result_.mask, result_.removals.size()};
    PruneStage& out = current_ = {};
    out.loss_before = loss();
    const auto start = Clock::now();
    Removed removed = remove();
    out.seconds = seconds_since(start);
    result_.theta = std::move(removed.theta);
    result_.mask = std::move(removed.mask);
    out.predicted = removed.predicted;
    out.loss_after = loss();
    out.flat = removed.flat;
    out.notes = std::move(removed.notes);
    const double actual =
        removed.removals.size() == 1 ? out.loss_after - out.loss_before : std::numeric_limits<double>::quiet_NaN();
    for (const Removal& r : removed.removals)
      result_.removals.push_back({static_cast<Index>(result_.stages.size()), r, actual});
    std::tie(out.train, out.test) = evaluate();
    out.finetuned_train = out.train;
    out.finetuned_test = out.test;
    finetune(out);
    out.kept = result_.mask.count();
    out.sparsity = result_.mask.sparsity();
    if (hooks_.on_stage) hooks_.on_stage(static_cast<Index>(result_.stages.size()), out);
    result_.stages.push_back(std::move(out));
  }

  void finetune(PruneStage& out) {
    if (options_.finetune_epochs == 0 && options_.finetune_steps == 0) return;
    TrainOptions o = in_.tuned;
    o.device = options_.device;
    o.epochs = options_.finetune_epochs;
    o.steps = options_.finetune_steps;
    o.run_directory.clear();
    o.start.clear();
    o.checkpoint_every = o.spectrum_every = 0;
    o.target_loss = o.target_accuracy = o.max_seconds = o.max_processor_seconds = o.max_gradients = 0;
    o.max_trials = o.patience = 0;
    o.evaluate_every = std::numeric_limits<Index>::max();
    // Every stage sees batches of its own.
    o.seed = options_.rule.seed + static_cast<std::uint64_t>(result_.stages.size());
    TrainStart start{result_.theta, result_.mask, in_.run.model, in_.run.standardizer, &in_.data.split};
    const auto begin = Clock::now();
    const TrainResult trained = train(o, {}, start);
    out.finetune_seconds = seconds_since(begin);
    if (trained.stop_reason == "interrupted") throw Interrupted();  // the stage was none
    if (trained.numerical_failure)
      out.notes.push_back(fmt::format("fine-tuning stopped at step {}: {}", trained.last.step, trained.stop_reason));
    result_.theta = trained.theta;
    in_.run.model.statistics = trained.statistics;
    network_.graph.set_statistics(trained.statistics);
    curvature_.set_statistics(trained.statistics);
    train_.set_statistics(trained.statistics);
    if (test_) test_->set_statistics(trained.statistics);
    std::tie(out.finetuned_train, out.finetuned_test) = evaluate();
  }

  const PruneOptions& options_;
  const PruneHooks& hooks_;
  Inputs in_;
  Context& context_;
  Network<T> network_;
  PlacedData<T> placed_;
  NetworkObjective<T> curvature_, train_;
  std::optional<NetworkObjective<T>> test_;
  detail::RememberedCurvature<T> remembered_;  ///< curvature_
  struct Before {
    std::vector<double> theta;
    Mask mask;
    std::size_t removals = 0;
  };
  Before before_stage_;
  PruneStage current_;
  PruneResult result_;
};

}  // namespace

PruneResult prune(const PruneOptions& options, const PruneHooks& hooks) {
  if (options.precision == "float32") return Pruning<float>(options, hooks).run();
  return Pruning<double>(options, hooks).run();
}

}  // namespace hso
