// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/train/compare.hpp"

#include <fmt/format.h>

#include <cmath>
#include <exception>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "train/fields.hpp"
#include "train/schedule.hpp"

namespace hso {
namespace {

constexpr Index kNoLimit = Index{1} << 50;
constexpr double kPoints = 50;            // of a curve against a budget of steps
constexpr double kSecondsAllowed = 1.05;  // of a budget: the last step may take longer than the one before

void require(bool ok, const char* option, const std::string& found, const char* expected) {
  if (!ok) throw UsageError(fmt::format("compare: {} = {}, expected {}", option, found, expected));
}

/// The base decides the problem; when to stop and what to write is the comparison's.
void check_base(const TrainOptions& base) {
  const TrainOptions defaults;
  for (const char* key : {"steps", "epochs", "max_trials", "target_loss", "target_accuracy", "max_seconds",
                          "max_processor_seconds", "max_gradients", "patience", "checkpoint_every", "spectrum_every"}) {
    const TrainField& field = *find_train_field(key);
    const std::string found = field_text(base, field);
    require(found == field_text(defaults, field), key, found, "nothing: the budget of the comparison decides");
  }
  require(base.run_directory.empty(), "run_directory", base.run_directory,
          "none: single runs of a comparison write nothing");
}

void check_options(const std::vector<Contender>& contenders, const CompareOptions& o) {
  require(!contenders.empty(), "contenders", "none", "at least one");
  require(o.budget.amount > 0 && std::isfinite(o.budget.amount), "budget", fmt::to_string(o.budget.amount), "above 0");
  require(o.budget.amount <= static_cast<double>(kNoLimit), "budget", fmt::to_string(o.budget.amount), "at most 2^50");
  require(o.seeds >= 1, "seeds", fmt::to_string(o.seeds), "at least 1");
  require(o.search_share > 0 && o.search_share <= 1, "search_share", fmt::to_string(o.search_share), "in (0, 1]");
}

bool is_of_contender(ErrorKind kind) {
  return kind == ErrorKind::usage || kind == ErrorKind::memory || kind == ErrorKind::numerical;
}

CurvePoint point_of(const TrainRecord& r) {
  return {r.step, r.seconds, r.gradient_equivalents, r.train.loss, r.train.accuracy};
}

bool within(const Budget& budget, const CurvePoint& p) {
  if (budget.kind == BudgetKind::seconds) return p.seconds <= budget.amount * kSecondsAllowed;
  if (budget.kind == BudgetKind::gradients) return p.gradient_equivalents <= budget.amount * (1 + 1e-9);
  return static_cast<double>(p.step) <= budget.amount;
}

class Comparer {
 public:
  Comparer(const TrainOptions& base, const std::vector<Contender>& contenders, const CompareOptions& options)
      : o_(options) {
    check_base(base);
    check_options(contenders, options);
    out_ = {base, o_.budget, o_.seeds, o_.rates, o_.search_share, {}, {}, {}, false};
    for (const Contender& contender : contenders) {
      TrainOptions checked = base;
      checked.optimizer = contender.optimizer;
      checked.optimizer_settings = contender.settings;
      check_train_options(checked);
      out_.contenders.push_back({contender, searched_option(contender), {}, -1, {}});
    }
    search_grid({}, o_.rates);
  }

  Comparison run() {
    const InterruptScope scope(o_.blocking, [this] { return out_; });  // complete only at the end
    out_.complete = search_all() && run_all();
    bool any = stopped_;
    for (const ContenderResult& c : out_.contenders)
      for (const auto* list : {&c.trials, &c.runs})
        for (const CompareRun& r : *list) any = any || r.status != "failed";
    if (!any && first_error_) std::rethrow_exception(first_error_);
    return std::move(out_);
  }

 private:
  /// False when interrupted.
  bool search_all() {
    const Budget share = search_budget();
    for (ContenderResult& c : out_.contenders) {
      for (const double value : search_grid(c.searched, o_.rates)) {
        c.trials.push_back(train_one(c, value, out_.base.seed, share));
        tell(c, c.trials.back(), "search");
        if (stopped_) return false;
        if (c.trials.back().status == "failed" && c.trials.size() == 1) break;  // the option is not what fails
      }
      choose(c);
    }
    return true;
  }
  /// Of equal losses (no trial left its start, say) the one nearest the centre.
  void choose(ContenderResult& c) const {
    const auto distance = [&](Index i) { return std::abs(i - o_.rates / 2); };
    for (Index i = 0; i < static_cast<Index>(c.trials.size()); ++i) {
      const CompareRun& trial = c.trials[static_cast<std::size_t>(i)];
      if (!trial.counts()) continue;
      const bool equal = c.best >= 0 && trial.last.loss == best_of(c).last.loss;
      if (c.best < 0 || trial.last.loss < best_of(c).last.loss || (equal && distance(i) < distance(c.best))) c.best = i;
    }
  }
  bool run_all() {
    for (Index seed = 0; seed < o_.seeds; ++seed)
      for (ContenderResult& c : out_.contenders) {
        if (c.best < 0) continue;
        c.runs.push_back(train_one(c, best_of(c).value, out_.base.seed + static_cast<std::uint64_t>(seed), o_.budget));
        tell(c, c.runs.back(), "run");
        if (stopped_) return false;
      }
    return true;
  }
  static const CompareRun& best_of(const ContenderResult& c) { return c.trials[static_cast<std::size_t>(c.best)]; }

  Budget search_budget() const {
    Budget share = o_.budget;
    share.amount *= o_.search_share;
    if (share.kind == BudgetKind::steps) share.amount = std::max(1.0, std::round(share.amount));
    return share;
  }

  TrainOptions options_of(const ContenderResult& c, double value, std::uint64_t seed, const Budget& budget) const {
    TrainOptions o = out_.base;
    o.optimizer = c.contender.optimizer;
    o.optimizer_settings = c.contender.settings;
    if (!c.searched.name.empty()) o.optimizer_settings[c.searched.name] = fmt::to_string(value);
    o.seed = seed;
    o.steps = o.max_trials = kNoLimit;
    if (budget.kind == BudgetKind::seconds) o.max_seconds = budget.amount;
    if (budget.kind == BudgetKind::gradients) o.max_gradients = budget.amount;
    if (budget.kind == BudgetKind::steps && o.evaluate_every == 0)
      o.evaluate_every = static_cast<Index>(std::ceil(budget.amount / kPoints));
    return o;
  }

  CompareRun train_one(const ContenderResult& c, double value, std::uint64_t seed, const Budget& budget) {
    CompareRun run;
    run.seed = seed;
    run.value = value;
    Index calls = 0;
    bool steps_spent = false;
    TrainHooks hooks;
    hooks.interrupted = [&] {  // asked once a step, before it
      stopped_ = o_.interrupted && o_.interrupted();
      steps_spent = budget.kind == BudgetKind::steps && static_cast<double>(calls++) >= budget.amount;
      return stopped_ || steps_spent;
    };
    hooks.on_data = [&](const DataDescription& data) {
      if (!out_.data.data.empty()) return;
      out_.data = data;
      if (o_.on_data) o_.on_data(data);
    };
    try {
      const TrainResult result = train(options_of(c, value, seed, budget), hooks);
      fill(run, result, budget);
      stopped_ = stopped_ || (result.stop_reason == "interrupted" && !steps_spent);  // in the middle of a step
      if (steps_spent && !stopped_) judge_last_step(run, result);
    } catch (const Interrupted&) {  // before the first step
      stopped_ = true;
      run.status = "interrupted";
    } catch (const Error& e) {
      if (!is_of_contender(e.kind())) throw;
      if (!first_error_) first_error_ = std::current_exception();
      run.status = "failed";
      run.message = e.what();
    }
    return run;
  }

  /// Of a run whose budget of steps is spent.
  static void judge_last_step(CompareRun& run, const TrainResult& result) {
    const StepReport& last = result.history.back().report;
    run.status = failed(last.status) ? name_of(last.status) : "steps";
    if (failed(last.status)) run.message = last.message;
  }

  void fill(CompareRun& run, const TrainResult& result, const Budget& budget) {
    out_.device = result.device;
    run.status = result.stop_reason;
    if (result.numerical_failure) run.message = result.last.report.message;
    for (const TrainRecord& r : result.history) {
      const CurvePoint p = point_of(r);
      if (!within(budget, p)) break;
      run.curve.push_back(p);
      run.last = p;
      run.test_loss = r.test.loss;
      run.test_accuracy = r.test.accuracy;
    }
  }

  void tell(const ContenderResult& c, const CompareRun& r, const char* what) const {
    if (!o_.on_run) return;
    const std::string option = c.searched.name.empty() ? "" : fmt::format(" {}={}", c.searched.name, r.value);
    const std::string outcome = r.status == "failed"
                                    ? r.message
                                    : fmt::format("loss {:.4g}, {:.3g} s, {:.4g} gradients, {}", r.last.loss,
                                                  r.last.seconds, r.last.gradient_equivalents, r.status);
    o_.on_run(fmt::format("{} {}{} seed {}: {}", what, c.contender.name, option, r.seed, outcome));
  }

  const CompareOptions& o_;
  Comparison out_;
  bool stopped_ = false;
  std::exception_ptr first_error_;
};

}  // namespace

bool CompareRun::counts() const {
  return status != "failed" && status != "interrupted" && !curve.empty() && std::isfinite(last.loss);
}

Comparison compare(const TrainOptions& base, const std::vector<Contender>& contenders, const CompareOptions& options) {
  return Comparer(base, contenders, options).run();
}

}  // namespace hso
