// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/core/state.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "train/best_point.hpp"
#include "train/fields.hpp"
#include "train/resume.hpp"
#include "train/run_output.hpp"
#include "train/spectrum_log.hpp"
#include "train/start.hpp"
#include "train/training_inputs.hpp"
#include "train/training_objectives.hpp"
#include "train/training_steps.hpp"

namespace hso {
namespace {

constexpr double kSecondsBetweenProgress = 0.1;

// Steps that fail one after the other, before the training does.
constexpr Index kFailures = 5;

template <class T>
class Trainer {
 public:
  /// `resumed`: null for a training that begins; `start` is its start then.
  Trainer(const TrainOptions& options, const TrainHooks& hooks, const TrainStart& start, const ResumePoint* resumed)
      : asked_(options),
        hooks_(hooks),
        from_(start),
        resumed_(resumed),
        in_(options, start),
        data_(start.split != nullptr ? *start.split : in_.data.split),
        context_(*in_.context),
        optimizer_(make_method(options, start.mask)),
        network_(build_network<T>(in_.model, options.loss, options.seed)),
        schedule_(options, optimizer_->full_batch(), data_.train.size),
        options_(resolved_options(options, schedule_, context_.name())),
        best_(options.patience, !network_.statistics.empty()) {
    if (options.patience > 0 && data_.test.size == 0)
      throw UsageError("patience: expected data with a test part, whose loss it watches");
    result_.data = in_.data.description;
    if (start.split == nullptr && hooks.on_data) hooks.on_data(result_.data);
    if (resumed != nullptr) require_same();
    place();
  }

  TrainResult run() {
    resumed_ != nullptr ? restore() : record({});
    open_directory();
    train();
    finish();
    return std::move(result_);
  }

 private:
  void require_same() const {
    require_same_training(options_, *resumed_);
    if (from_.split == nullptr) require_same_data(result_.data, in_.data.standardizer, *resumed_);
  }

  void train() {
    BlockingHook<TrainResult> hook;
    if (hooks_.blocking)
      hook = [this](std::function<TrainResult()> known) {
        if (known) remember();
        hooks_.blocking(std::move(known));
      };
    const InterruptScope scope(hook, [this] { return interrupted_result(); });
    while (result_.stop_reason.empty()) advance_or_stop();
  }

  /// Where work begins that cannot be left: what would be saved, in host memory. Once a step.
  void remember() {
    const std::pair now{progress().calls, steps_->in_step()};
    if (before_work_ && remembered_at_ == now) return;
    remembered_at_ = now;
    before_work_ = steps_->in_step() ? capture(steps_->theta_before(), steps_->state_before()) : capture();
  }

  /// What is known in the middle of work that cannot be left, and on the disk. Nothing of the device is touched: it is
  /// at work.
  TrainResult interrupted_result() {
    if (result_.stop_reason.empty()) result_.stop_reason = "interrupted";
    result_.theta = before_work_->theta;
    result_.statistics = before_work_->statistics;
    output_.checkpoint(*before_work_);
    choose_best();
    conclude();
    output_.close();
    return result_;
  }

  /// A step that is left in its middle was none.
  void advance_or_stop() {
    try {
      advance();
    } catch (const Interrupted&) {
      steps_->leave();
      if (result_.stop_reason.empty()) result_.stop_reason = "interrupted";
    }
  }

  static std::unique_ptr<Optimizer<T>> make_method(const TrainOptions& o, const Mask& mask) {
    return make_masked<T>(make_wrapped<T>(make_optimizer<T>(o.optimizer, o.optimizer_settings), o.wrappers), mask);
  }

  /// Data, objectives and theta in device memory.
  void place() {
    placed_.emplace(context_, network_, data_, from_.split == nullptr ? &in_.data.split : nullptr);
    plan_ = make_plan();
    announce();
    theta_ = starting_point();
    objectives_.emplace(context_, network_, *placed_, asked_, from_.mask, schedule_, plan_);
    steps_.emplace(context_, *optimizer_, *objectives_, theta_, schedule_, asked_, placed_->train.size);
    if (can_queue()) steps_->queue_them();
  }

  /// Where a batch fits the device.
  bool can_queue() const {
    return optimizer_->queued() != nullptr && asked_.curvature_batch == 0 && plan_.rows >= schedule_.batch &&
           network_.statistics.empty();  // they follow each step that was accepted
  }

  /// Whether each step's outcome or time is asked for: then it is waited for.
  bool watched() const { return hooks_.on_step || asked_.max_seconds > 0 || asked_.max_processor_seconds > 0; }

  Buffer<T> starting_point() {
    const std::vector<double> start = starting_parameters(from_, network_.parameters, asked_);
    return Buffer<T>(context_, std::vector<T>(start.begin(), start.end()));
  }

  /// theta is read, written and kept in double precision, beside the device's numbers on their way.
  void announce() {
    result_.planned_bytes = plan_.bytes;
    if (!hooks_.on_plan) return;
    const Index n = network_.graph.parameter_count(), bytes = static_cast<Index>(sizeof(double) + sizeof(T));
    const Index copies = checked_multiply(n, bytes) + static_cast<Index>(from_.theta.size() * sizeof(double));
    hooks_.on_plan(plan_of(context_, plan_.bytes, copies, in_.before.most_growth()));
  }

  TrainingPlan make_plan() const {
    TrainingPlan plan =
        TrainingObjectives<T>::plan(context_, network_, *placed_, asked_, from_.mask, schedule_, *optimizer_);
    if (resumed_ == nullptr) return plan;
    StateReader began(resumed_->state, resumed_->folder + "/state.safetensors");
    began.part("plan", [&] { plan.visit_state(began); });
    return plan;
  }

  /// Everything that the next step depends on, beside theta and what the options say.
  void visit_state(StateVisitor& state, const std::function<void()>& optimizer) {
    state.part("plan", [&] { plan_.visit_state(state); });
    state.part("optimizer", optimizer);
    steps_->visit_state(state);
    state.part("last_record", [&] { visit_record(state, result_.last); });
    state.part("best", [&] { best_.visit_state(state); });
    state("first_objective", first_objective_);
  }

  void restore() {
    StateReader state(resumed_->state, resumed_->folder + "/state.safetensors");
    visit_state(state, [&] { optimizer_->visit_state(state, &objectives_->seen()); });
    state.require_all_read();
    steps_->restored();
    result_.history = {result_.last};
    if (hooks_.on_note) hooks_.on_note(fmt::format("{}: goes on at step {}", asked_.run_directory, progress().calls));
    if (progress().calls > 0) result_.stop_reason = reason_to_stop();
  }

  CheckpointContent capture() { return capture(theta_, save_state(*optimizer_)); }
  CheckpointContent capture(const Buffer<T>& theta, const RawTensors& optimizer) {
    CheckpointContent content{progress().calls, score(), to_host(theta), objectives_->of_steps().statistics()};
    if (!output_.is_open()) return content;
    StateWriter state;
    visit_state(state, [] {});
    content.state = state.take();
    for (const auto& [name, tensor] : optimizer) content.state["optimizer." + name] = tensor;
    content.metadata = {{"seed", fmt::format("{}", asked_.seed)}, {"optimizer", asked_.optimizer}};
    return content;
  }
  /// Of the point where the training is; NaN where it was not evaluated.
  double score() const {
    if (result_.last.step != progress().calls) return std::numeric_limits<double>::quiet_NaN();
    return std::isnan(result_.last.test.loss) ? result_.last.objective : result_.last.test.loss;
  }

  void open_directory() {
    if (asked_.run_directory.empty()) return;
    const RunDescription description{options_,
                                     in_.model,
                                     in_.data.standardizer,
                                     &context_,
                                     placed_->train.size,
                                     placed_->test ? placed_->test->size : 0,
                                     from_.split == nullptr ? &result_.data : nullptr};
    output_.open(SavedModel{network_.parameters, network_.statistics, asked_, from_.mask});
    options_.run_directory = result_.run_directory = output_.path();
    if (resumed_ != nullptr)
      return output_.go_on(options_, result_.last.step, progress().calls, result_.stop_reason.empty());
    output_.begin(description);
    output_.record(result_.last);
    log_spectra();
    output_.keep();
  }

  void advance() {
    if (hooks_.interrupted && hooks_.interrupted()) {
      if (steps_->pending()) decide(steps_->look());
      if (result_.stop_reason.empty()) result_.stop_reason = "interrupted";
      return;
    }
    if (steps_->queues()) {
      steps_->queue();
      if (!watched() && !look_is_due()) return;
    }
    const StepReport report = steps_->queues() ? steps_->look() : steps_->take();
    if (hooks_.on_step) hooks_.on_step(progress().calls, report);
    decide(report);
  }

  /// What follows from the step that was counted last.
  void decide(const StepReport& report) {
    last_report_ = report;
    steps_->count_gradients();
    if (hooks_.on_progress && seconds_since(told_) >= kSecondsBetweenProgress) {
      told_ = Clock::now();
      hooks_.on_progress(progress().calls, report);
    }
    result_.stop_reason = reason_to_stop_before_evaluation();
    const bool due = is_due(schedule_.evaluate_every);
    // A training that is told to go on from here has no record at this step.
    if (!due && !result_.stop_reason.empty()) end_ = capture();
    if (due || !result_.stop_reason.empty()) record(report);
    if (is_due(asked_.spectrum_every)) log_spectra();
    result_.stop_reason = reason_to_stop();
    if (result_.stop_reason.empty() && is_due(schedule_.checkpoint_every)) output_.checkpoint(capture());
  }
  const Progress& progress() const { return steps_->progress(); }
  bool is_due(Index every) const { return every > 0 && progress().calls % every == 0; }

  std::string reason_to_stop_before_evaluation() {
    result_.numerical_failure = progress().failed_in_a_row >= kFailures;
    if (result_.numerical_failure) return name_of(last_report_.status);
    const std::string reason = schedule_.stop_reason(progress());
    return reason.empty() ? budget_spent(asked_, steps_->spent(), steps_->last_cost()) : reason;
  }
  std::string reason_to_stop() {
    const std::string reason = reason_to_stop_before_evaluation();
    if (result_.numerical_failure) return reason;
    // Before every other reason: a target reached on the step that spends the budget was reached.
    if (const std::string reached = target_reached(asked_, result_.last.train); !reached.empty()) return reached;
    return reason.empty() && best_.gives_up() ? "patience" : reason;
  }

  bool look_is_due() {
    if (is_due(schedule_.evaluate_every) || is_due(asked_.spectrum_every) || is_due(schedule_.checkpoint_every))
      return true;
    if (!schedule_.stop_reason(progress()).empty() ||
        !budget_spent(asked_, steps_->spent(), steps_->last_cost()).empty())
      return true;
    if (hooks_.on_progress && seconds_since(told_) >= kSecondsBetweenProgress) return true;
    return steps_->refused_one();
  }

  void record(const StepReport& report) {
    TrainRecord r;
    r.step = progress().calls;
    r.epoch = schedule_.epoch_of(progress().calls);
    r.seconds = steps_->spent().seconds;
    r.processor_seconds = steps_->spent().processor_seconds;
    r.gradient_equivalents = steps_->spent().gradients;
    objectives_->evaluate(theta_, r);
    r.report = report;
    if (result_.history.empty()) first_objective_ = r.objective;
    steps_->count_gradients();
    result_.history.push_back(r);
    result_.last = r;
    best_.look(r, theta_, objectives_->of_steps());
    output_.record(r);
    if (hooks_.on_record) hooks_.on_record(r);
  }

  /// At the current theta over the whole training part, dropout off.
  void log_spectra() {
    if (asked_.spectrum_every == 0 || !output_.is_open()) return;
    NetworkObjective<T>& all = objectives_->of_all();
    all.set_training(false, static_cast<std::uint64_t>(progress().calls));
    const Curvature kind = parse_curvature(asked_.spectrum_kind);
    MaskedObjective<T> kept(all, from_.mask);
    output_.spectra(spectrum_lines<T>(kept, static_cast<const T*>(theta_.data()), network_.parameters, kind,
                                      progress().calls, asked_.seed));
    steps_->count_gradients();
  }

  static std::vector<double> to_host(const Buffer<T>& buffer) {
    const std::vector<T> numbers = buffer.download();
    return {numbers.begin(), numbers.end()};
  }

  void finish() {
    const InterruptScope to_the_end({});  // what follows saves the training
    if (!end_) end_ = capture();
    if (result_.last.step != progress().calls) record(last_report_);
    end_->score = score();
    result_.theta = end_->theta;
    result_.statistics = end_->statistics;
    output_.checkpoint(std::move(*end_));
    choose_best();
    judge_end(result_, asked_, progress(), last_report_, first_objective_);
    conclude();
  }

  /// With patience the point of the lowest test loss is the result, unless a target was reached.
  void choose_best() {
    if (!best_.is_before(result_.last) || !target_reached(asked_, result_.last.train).empty()) return;
    result_.last = best_.record();
    result_.theta = best_.theta();
    result_.statistics = best_.statistics();
  }

  void conclude() {
    result_.accepted_steps = progress().accepted;
    result_.trials = progress().trials;
    result_.seconds = seconds_since(start_);
    result_.device = context_.description();
    result_.peak_bytes = context_.peak_bytes();
    const SavedModel model{network_.parameters, network_.statistics, options_, from_.mask};
    output_.end({result_.theta, result_.statistics, model}, result_, progress().calls);
  }

  const Clock::time_point start_ = Clock::now();
  const TrainOptions& asked_;
  const TrainHooks& hooks_;
  const TrainStart& from_;
  const ResumePoint* resumed_;
  TrainingInputs in_;
  const DataSplit& data_;  ///< until it is on the device
  Context& context_;       // what follows owns memory of it
  std::unique_ptr<Optimizer<T>> optimizer_;
  Network<T> network_;
  Schedule schedule_;
  TrainOptions options_;  ///< resolved
  BestPoint<T> best_;
  std::optional<PlacedData<T>> placed_;
  TrainingPlan plan_;
  std::optional<TrainingObjectives<T>> objectives_;
  Buffer<T> theta_;
  std::optional<TrainingSteps<T>> steps_;
  std::optional<CheckpointContent> end_;          ///< where the training ended, before a record that ends it
  std::optional<CheckpointContent> before_work_;  ///< where work began that cannot be left
  std::pair<Index, bool> remembered_at_{-1, false};
  StepReport last_report_;
  Clock::time_point told_ = start_;
  double first_objective_ = 0;
  TrainResult result_;
  RunOutput output_;  ///< last: its thread ends first
};

TrainResult run(const TrainOptions& options, const TrainHooks& hooks, const TrainStart& start,
                const ResumePoint* resumed) {
  if (options.precision == "float64") return Trainer<double>(options, hooks, start, resumed).run();
  return Trainer<float>(options, hooks, start, resumed).run();
}

}  // namespace

TrainResult train(const TrainOptions& options, const TrainHooks& hooks) {
  check_train_options(options);
  if (options.resume || options.start.empty()) return train(options, hooks, {});
  return train(options, hooks, load_start(options));
}

TrainResult train(const TrainOptions& options, const TrainHooks& hooks, const TrainStart& start) {
  check_train_options(options);
  if (!options.resume) return run(options, hooks, start, nullptr);
  if (const auto point = find_resume_point(options, hooks.on_note)) {
    TrainStart from = point->start;
    from.split = start.split;
    if (start.standardizer) from.standardizer = start.standardizer;
    return run(options, hooks, from, &*point);
  }
  TrainOptions anew = options;
  anew.resume = false;
  anew.overwrite = true;
  const bool of_another = start.theta.empty() && !options.start.empty();
  return run(anew, hooks, of_another ? load_start(anew) : start, nullptr);
}

}  // namespace hso
