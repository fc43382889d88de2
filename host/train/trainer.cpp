// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <optional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/optim/step_queue.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "train/batch_order.hpp"
#include "train/best_point.hpp"
#include "train/fields.hpp"
#include "train/memory_plan.hpp"
#include "train/pending_steps.hpp"
#include "train/placed_data.hpp"
#include "train/run_files.hpp"
#include "train/spectrum_log.hpp"
#include "train/start.hpp"
#include "train/training_inputs.hpp"
#include "train/training_memory.hpp"

namespace hso {
namespace {

// Wider micro-batches make an evaluation no faster.
constexpr Index kEvaluationRows = 2048;

// Curvature batches come in an order of their own.
constexpr std::uint64_t kCurvatureOrder = 0x63757276;  // "curv"

// Queued steps between two glances at what has become of them.
constexpr std::size_t kGlance = 32;
constexpr double kSecondsBetweenProgress = 0.1;

template <class T>
class Trainer {
 public:
  Trainer(const TrainOptions& options, const TrainHooks& hooks, const TrainStart& start)
      : asked_(options),
        hooks_(hooks),
        from_(start),
        in_(options, start),
        data_(start.split != nullptr ? *start.split : in_.data.split),
        context_(*in_.context),
        optimizer_(make_method(options, start.mask)),
        network_(build_network<T>(in_.model, options.loss, options.seed)),
        schedule_(options, optimizer_->full_batch(), data_.train.size),
        options_(resolved_options(options, schedule_, context_.name())),
        order_(data_.train.size, schedule_.batch, options.seed),
        curvature_order_(data_.train.size, options.curvature_batch, options.seed ^ kCurvatureOrder),
        best_(options.patience) {
    if (options.patience > 0 && data_.test.size == 0)
      throw UsageError("patience: expected data with a test part, whose loss it watches");
    result_.data = in_.data.description;
    if (start.split == nullptr && hooks.on_data) hooks.on_data(result_.data);
    place();
  }

  TrainResult run() {
    record({});
    open_directory();
    train();
    finish();
    return std::move(result_);
  }

 private:
  void train() {
    BlockingHook<TrainResult> hook;
    if (hooks_.blocking)
      hook = [this](std::function<TrainResult()> known) {
        if (known) theta_before_work_ = to_host(before_step_ ? before_ : theta_);
        hooks_.blocking(std::move(known));
      };
    const InterruptScope scope(hook, [this] { return interrupted_result(); });
    while (result_.stop_reason.empty()) advance_or_stop();
  }

  /// What is known in the middle of work that cannot be left, and on the disk. Nothing of the device is touched: it is
  /// at work.
  TrainResult interrupted_result() {
    if (result_.stop_reason.empty()) result_.stop_reason = "interrupted";
    result_.theta = theta_before_work_;
    checkpoint(result_.theta);
    choose_best();
    conclude();
    directory_.reset();
    return result_;
  }

  /// A step that is left in its middle was none.
  void advance_or_stop() {
    try {
      advance();
    } catch (const Interrupted&) {
      if (before_step_) context_.ops<T>().copy(theta_.size(), before_.data(), theta_.data());
      before_step_ = false;
      if (result_.stop_reason.empty()) result_.stop_reason = "interrupted";
    }
  }

  static std::unique_ptr<Optimizer<T>> make_method(const TrainOptions& o, const Mask& mask) {
    return make_masked<T>(make_wrapped<T>(make_optimizer<T>(o.optimizer, o.optimizer_settings), o.wrappers), mask);
  }

  /// Data, objectives and theta in device memory.
  void place() {
    placed_.emplace(context_, network_, data_, from_.split == nullptr ? &in_.data.split : nullptr);
    const TrainingPlan plan = make_plan();
    options_.device_batch = plan.rows;
    announce(plan);
    theta_ = starting_point();
    objective_.emplace(context_, network_, placed_->train,
                       NetworkObjectiveOptions{plan.rows, plan.lanes, asked_.weight_decay});
    seen_ = &*objective_;
    if (asked_.curvature_batch > 0) {
      const Index rows = std::min({plan.rows, asked_.curvature_batch, placed_->train.size});
      curvature_.emplace(context_, network_, placed_->train,
                         NetworkObjectiveOptions{rows, plan.lanes, asked_.weight_decay});
      separate_.emplace(*objective_, *curvature_);
      seen_ = &*separate_;
    }
    if (is_masked()) seen_ = &masked_.emplace(*seen_, from_.mask, MaskedOptions{asked_.l1});
    const auto evaluation = [&](std::size_t i) { return NetworkObjectiveOptions{plan.evaluation_rows.at(i), 1, 0}; };
    if (!schedule_.whole) train_evaluation_.emplace(context_, network_, placed_->train, evaluation(0));
    if (placed_->test)
      test_evaluation_.emplace(context_, network_, *placed_->test, evaluation(schedule_.whole ? 0 : 1));
    if (can_queue(plan.rows)) queue_.emplace(context_, *optimizer_);
  }

  /// Steps are queued where nobody asks for each one's outcome or time, and a batch fits the device.
  bool can_queue(Index rows) const {
    const bool watched = hooks_.on_step || asked_.max_seconds > 0 || asked_.max_processor_seconds > 0;
    return !watched && optimizer_->queued() != nullptr && !curvature_ && rows >= schedule_.batch;
  }

  bool is_masked() const { return !from_.mask.kept.empty() || asked_.l1 > 0; }

  Buffer<T> starting_point() {
    const std::vector<double> start = starting_parameters(from_, network_.parameters, asked_);
    return Buffer<T>(context_, std::vector<T>(start.begin(), start.end()));
  }

  /// theta is read, written and kept in double precision, beside the device's numbers on their way.
  void announce(const TrainingPlan& plan) {
    result_.planned_bytes = plan.bytes;
    if (!hooks_.on_plan) return;
    const Index n = network_.graph.parameter_count(), bytes = static_cast<Index>(sizeof(double) + sizeof(T));
    const Index copies = checked_multiply(n, bytes) + static_cast<Index>(from_.theta.size() * sizeof(double));
    hooks_.on_plan(plan_of(context_, plan.bytes, copies, in_.before.most_growth()));
  }

  TrainingPlan make_plan() const {
    const Index rows = placed_->train.size, test_rows = placed_->test ? placed_->test->size : 0;
    const ParameterLayout layout = parameter_layout(context_, network_);
    TrainingNeeds needs{schedule_.batch, asked_.device_batch, optimizer_->dense(), optimizer_->bytes(context_, layout)};
    const Index wanted = asked_.device_batch > 0 ? asked_.device_batch : std::max(kEvaluationRows, schedule_.batch);
    if (is_masked()) needs.method += MaskedObjective<T>::bytes(layout.n);
    needs.curvature_rows = std::min(asked_.curvature_batch, rows);
    if (!schedule_.whole) needs.evaluations.push_back(std::min(wanted, rows));
    if (!schedule_.whole) needs.order = context_.ops<T>().sort_workspace_bytes(rows);
    if (test_rows > 0) needs.evaluations.push_back(std::min(wanted, test_rows));
    return plan_training<T>(context_, network_.graph, needs);
  }

  void open_directory() {
    if (asked_.run_directory.empty()) return;
    directory_.emplace(asked_.run_directory, asked_.overwrite);
    directory_->clear();
    options_.run_directory = result_.run_directory = directory_->path();
    write_description(*directory_,
                      {options_, in_.model, in_.data.standardizer, &context_, placed_->train.size,
                       placed_->test ? placed_->test->size : 0, from_.split == nullptr ? &result_.data : nullptr});
    directory_->append_metrics(result_.last);
    log_spectra();
    directory_->keep();
  }

  void advance() {
    if (hooks_.interrupted && hooks_.interrupted()) {
      if (!pending_.empty()) decide(look());
      if (result_.stop_reason.empty()) result_.stop_reason = "interrupted";
      return;
    }
    if (queue_) {
      queue_step();
      if (look_is_due()) decide(look());
      return;
    }
    const StepReport report = step();
    progress_.count(report);
    if (hooks_.on_step) hooks_.on_step(progress_.calls, report);
    decide(report);
  }

  /// What follows from the step that was counted last.
  void decide(const StepReport& report) {
    last_report_ = report;
    if (hooks_.on_progress && seconds_since(told_) >= kSecondsBetweenProgress) {
      told_ = Clock::now();
      hooks_.on_progress(progress_.calls, report);
    }
    result_.stop_reason = schedule_.stop_reason(progress_);
    if (result_.stop_reason.empty()) result_.stop_reason = budget_spent(asked_, spent_, last_cost_);
    if (report.status == StepStatus::not_finite || report.status == StepStatus::singular) {
      result_.stop_reason = name_of(report.status);
      result_.numerical_failure = true;
    }
    if (is_due(schedule_.evaluate_every) || !result_.stop_reason.empty()) record(report);
    if (is_due(asked_.spectrum_every)) log_spectra();
    // Before every other reason: a target reached on the step that spends the budget was reached.
    if (const std::string reached = target_reached(asked_, result_.last.train);
        !reached.empty() && !result_.numerical_failure)
      result_.stop_reason = reached;
    if (result_.stop_reason.empty() && best_.gives_up()) result_.stop_reason = "patience";
    if (is_due(schedule_.checkpoint_every)) checkpoint(to_host(theta_));
  }
  bool is_due(Index every) const { return every > 0 && progress_.calls % every == 0; }

  /// Queues a step and counts it as accepted.
  void queue_step() {
    pending_.begin(progress_, spent_);
    if (schedule_.whole) {
      objective_->set_training(true, static_cast<std::uint64_t>(progress_.calls));
    } else {
      const Index epoch = order_.epoch_of(progress_.calls);
      if (epoch != epoch_on_device_) objective_->shuffle(order_.seed_of(epoch));
      epoch_on_device_ = epoch;
      const auto [first, count] = order_.batch_of(progress_.calls);
      objective_->select_from_order(first, count, static_cast<std::uint64_t>(progress_.calls));
    }
    const double asked_before = asked_so_far();
    const InterruptScope to_its_end({});  // one batch; a half of what it queues would count as a step
    queue_->push(*seen_, theta_.data());
    pending_.add(asked_so_far() - asked_before, progress_, spent_, last_cost_);
  }

  bool look_is_due() {
    if (is_due(schedule_.evaluate_every) || is_due(asked_.spectrum_every) || is_due(schedule_.checkpoint_every))
      return true;
    if (!schedule_.stop_reason(progress_).empty() || !budget_spent(asked_, spent_, last_cost_).empty()) return true;
    if (hooks_.on_progress && seconds_since(told_) >= kSecondsBetweenProgress) return true;
    return pending_.size() % kGlance == 0 && queue_->glance();
  }

  /// Waits for the queued steps. Those behind one that was refused were none: it is the last one counted.
  StepReport look() {
    const auto [taken, refused, report] = queue_->look();
    pending_.settle(taken, report, progress_, spent_, last_cost_);
    return report;
  }

  double asked_so_far() const {
    return objective_->gradient_equivalents() + (curvature_ ? curvature_->gradient_equivalents() : 0);
  }

  StepReport step() {
    if (!schedule_.whole) objective_->select(order_.rows_of(progress_.calls));
    objective_->set_training(true, static_cast<std::uint64_t>(progress_.calls));
    if (curvature_) {
      curvature_->select(curvature_order_.rows_of(progress_.calls));
      curvature_->set_training(true, static_cast<std::uint64_t>(progress_.calls));
    }
    const double asked_before = asked_so_far();
    const Stopwatch watch;
    if (before_step_ = interruptible(); before_step_) {
      if (before_.size() == 0) before_ = Buffer<T>(context_, theta_.size());
      context_.ops<T>().copy(theta_.size(), theta_.data(), before_.data());
    }
    // It has read what it reports; the little that is still queued behind counts to the next step.
    StepReport report = optimizer_->step(*seen_, theta_.data());
    before_step_ = false;
    watch.read(last_cost_);
    last_cost_.gradients = asked_so_far() - asked_before;
    spent_.seconds += last_cost_.seconds;
    spent_.processor_seconds += last_cost_.processor_seconds;
    spent_.gradients += last_cost_.gradients;
    return report;
  }

  void record(const StepReport& report) {
    TrainRecord r;
    r.step = progress_.calls;
    r.epoch = schedule_.epoch_of(progress_.calls);
    r.seconds = spent_.seconds;
    r.processor_seconds = spent_.processor_seconds;
    r.gradient_equivalents = spent_.gradients;
    r.train = (train_evaluation_ ? *train_evaluation_ : *objective_).evaluate(theta_.data());
    r.test.loss = std::numeric_limits<double>::quiet_NaN();
    if (test_evaluation_) r.test = test_evaluation_->evaluate(theta_.data());
    const double squares = context_.ops<T>().dot(theta_.size(), theta_.data(), theta_.data());
    r.objective = r.train.loss + 0.5 * asked_.weight_decay * squares + (masked_ ? masked_->penalty(theta_.data()) : 0);
    r.report = report;
    result_.history.push_back(r);
    result_.last = r;
    best_.look(r, theta_);
    if (directory_) directory_->append_metrics(r);
    if (hooks_.on_record) hooks_.on_record(r);
  }

  /// At the current theta over the whole training part, dropout off.
  void log_spectra() {
    if (asked_.spectrum_every == 0 || !directory_) return;
    NetworkObjective<T>& all = train_evaluation_ ? *train_evaluation_ : *objective_;
    all.set_training(false, static_cast<std::uint64_t>(progress_.calls));
    const Curvature kind = parse_curvature(asked_.spectrum_kind);
    MaskedObjective<T> kept(all, from_.mask);
    for (const std::string& line : spectrum_lines<T>(kept, static_cast<const T*>(theta_.data()), network_.parameters,
                                                     kind, progress_.calls, asked_.seed))
      directory_->append_line("spectra.jsonl", line);
  }

  static std::vector<double> to_host(const Buffer<T>& buffer) {
    const std::vector<T> numbers = buffer.download();
    return {numbers.begin(), numbers.end()};
  }

  SavedPoint saved(const std::vector<double>& theta) const {
    return {theta, network_.parameters, options_, from_.mask};
  }

  void checkpoint(const std::vector<double>& theta) {
    if (directory_) write_checkpoint(*directory_, saved(theta), progress_, schedule_);
  }

  void finish() {
    const InterruptScope to_the_end({});  // what follows saves the training
    if (result_.last.step != progress_.calls) record(last_report_);
    result_.theta = to_host(theta_);
    checkpoint(result_.theta);
    choose_best();
    conclude();
  }

  /// With patience the point of the lowest test loss is the result, unless a target was reached.
  void choose_best() {
    if (!best_.is_before(result_.last) || !target_reached(asked_, result_.last.train).empty()) return;
    result_.last = best_.record();
    result_.theta = best_.theta();
  }

  void conclude() {
    result_.accepted_steps = progress_.accepted;
    result_.trials = progress_.trials;
    result_.seconds = seconds_since(start_);
    result_.device = context_.description();
    result_.peak_bytes = context_.peak_bytes();
    if (!directory_) return;
    write_parameters(*directory_, saved(result_.theta));
    write_result(*directory_, result_, progress_.calls);
  }

  const Clock::time_point start_ = Clock::now();
  const TrainOptions& asked_;
  const TrainHooks& hooks_;
  const TrainStart& from_;
  TrainingInputs in_;
  const DataSplit& data_;  ///< until it is on the device
  Context& context_;       // what follows owns memory of it
  std::unique_ptr<Optimizer<T>> optimizer_;
  Network<T> network_;
  Schedule schedule_;
  TrainOptions options_;  ///< resolved
  BatchOrder order_, curvature_order_;
  BestPoint<T> best_;
  std::optional<PlacedData<T>> placed_;
  std::optional<NetworkObjective<T>> objective_, curvature_, train_evaluation_, test_evaluation_;
  std::optional<SubsampledCurvature<T>> separate_;  ///< objective_ with the curvature batch
  std::optional<MaskedObjective<T>> masked_;        ///< one of the two under the mask and l1
  Objective<T>* seen_ = nullptr;                    ///< the outermost
  Buffer<T> theta_, before_;                        ///< before the current step
  std::vector<double> theta_before_work_;           ///< where work began that cannot be left
  bool before_step_ = false;                        ///< theta may not be that of a whole step
  std::optional<RunDirectory> directory_;
  Progress progress_;
  StepReport last_report_;
  std::optional<StepQueue<T>> queue_;
  PendingSteps pending_;
  Index epoch_on_device_ = -1;
  Clock::time_point told_ = start_;
  Cost spent_, last_cost_;  ///< in steps: evaluations and files are left out
  TrainResult result_;
};

}  // namespace

TrainResult train(const TrainOptions& options, const TrainHooks& hooks) {
  if (options.start.empty()) return train(options, hooks, {});
  check_train_options(options);
  return train(options, hooks, load_start(options));
}

TrainResult train(const TrainOptions& options, const TrainHooks& hooks, const TrainStart& start) {
  check_train_options(options);
  if (options.precision == "float64") return Trainer<double>(options, hooks, start).run();
  return Trainer<float>(options, hooks, start).run();
}

}  // namespace hso
