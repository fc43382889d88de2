// SPDX-License-Identifier: Apache-2.0
//
// Training as a library call: data, model, optimizer and stopping rules in; a trained theta, a history and (when asked)
// a run directory out.
//
//   TrainOptions o; o.optimizer = "hso"; o.steps = 20;
//   TrainResult r = train(o);                       digits, mlp:64-32-10:tanh, best device
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/data/prepared_data.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/objective/mask.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso {

struct TrainOptions {
  std::string model = "mlp:64-32-10:tanh";  ///< word or TOML file
  std::string data = "digits";
  std::string label;               ///< of a CSV file, as DataOptions has them: the column by name or number,
  std::string header = "auto";     ///< auto, yes or no,
  std::string separator = "auto";  ///< auto, comma, semicolon, tab, bar or space
  LossKind loss = LossKind::cross_entropy;
  Scaling scaling = Scaling::unit_range;
  bool reconstruct = false;  ///< the targets are the (scaled) inputs: autoencoders, with squared_error or bce
  Initialization initialization = Initialization::glorot;
  std::string optimizer = "hso.kfac";
  OptimizerSettings optimizer_settings;
  std::vector<std::string> wrappers;  ///< "NAME[:VALUE...]" around the optimizer, inside out: wrappers.hpp
  std::string device = "auto";
  std::string precision = "float32";  ///< or "float64"
  bool tf32 = false;
  bool deterministic = false;  ///< CPU: the same bits whatever the number of threads
  Index batch = 0;             ///< 0: all for full-batch methods, 128 otherwise
  Index curvature_batch = 0;   ///< rows of the curvature, drawn apart from the gradient's; 0: the gradient's rows
  Index device_batch = 0;      ///< rows on the device at a time; 0: chosen from the memory that is there
  Index epochs = 0;            ///< 0: 20 for mini-batch methods; full-batch methods count steps
  Index steps = 0;             ///< accepted optimizer steps; 0: 20 for full-batch methods, else by epochs
  Index max_trials = 0;        ///< 0: twice `steps`
  double target_loss = 0;      ///< stop when the training loss is at most this; 0: never
  double target_accuracy = 0;  ///< stop when the training accuracy is at least this, in (0, 1]; 0: never
  /// Stop after this many records without a lower test loss, and return the parameters of the lowest; 0: never.
  Index patience = 0;
  double max_seconds = 0;            ///< stop when a step like the last would spend more time in steps; 0: never
  double max_processor_seconds = 0;  ///< the same of the process' own time (TrainRecord); 0: never
  double max_gradients = 0;          ///< the same of gradient-equivalents; 0: never
  double weight_decay = 0;           ///< L2: weight_decay/2 |theta|^2 is part of the objective
  double l1 = 0;                     ///< l1 |theta|_1 is part of the objective, with the subgradient l1 sign(theta)
  double test_fraction = 0.2;
  std::uint64_t seed = 0;
  Index evaluate_every = 0;    ///< steps between evaluations; 0: every step (full batch) or epoch
  Index checkpoint_every = 0;  ///< steps between checkpoints; 0: only the last
  Index keep_last = 3;         ///< checkpoints that stay, the newest; 0: all
  Index keep_every = 0;        ///< checkpoints at multiples of this many steps stay too; 0: none
  bool keep_best = false;      ///< and so does that of the lowest test loss, or objective, where it was evaluated
  Index spectrum_every = 0;    ///< steps between lines of spectra.jsonl in the run directory, step 0 first; 0: none
  std::string spectrum_kind = "hessian";  ///< of what: see Curvature
  /// A run directory or one of its checkpoints/step_N: parameters, mask and input scaling come from there (the scaling
  /// where it is of the same kind), and the network's description where `model` is that run's. Empty: `initialization`.
  std::string start;
  std::string run_directory;  ///< empty: nothing is written; "###" in it becomes the first free number
  bool overwrite = false;     ///< a run that is in it may be replaced; otherwise it is an InputError
  /// The run in it goes on from its last whole checkpoint and ends with the bits of one that was never stopped; where
  /// it has none yet it begins anew. Other options must be those of the run, but for those of when to stop and what to
  /// keep: UsageError names the first that differs.
  bool resume = false;
};

/// Where a training starts, given in memory; steps, records and batches count from 0 as always.
struct TrainStart {
  std::vector<double> theta{};  ///< empty: options.initialization
  /// Empty: none. Otherwise removed parameters are +0 from the start and after every step, with every optimizer
  /// (objective/adapters.hpp).
  Mask mask{};
  std::optional<ModelSpec> model{};            ///< in place of options.model, which may not say it: shrunken networks
  std::optional<Standardizer> standardizer{};  ///< of the inputs, in place of one fitted to the training part
  /// In place of options.data, and taken as it is: scaled already (the run directory keeps `standardizer`). The caller
  /// keeps it; training on it reads no file.
  const DataSplit* split = nullptr;
  std::optional<std::vector<std::string>> class_names{};  ///< DataOptions::class_names
};

/// One line of metrics.jsonl.
struct TrainRecord {
  Index step = 0;  ///< optimizer steps taken, rejected ones included
  double epoch = 0;
  double seconds = 0;               ///< spent in optimizer steps: evaluations and files are left out
  double processor_seconds = 0;     ///< the process' own in those steps, all its threads: neighbours do not count
  double gradient_equivalents = 0;  ///< of those steps: NetworkObjective::gradient_equivalents
  Evaluation train, test;           ///< test.loss is NaN where there is no test part
  double objective = 0;             ///< training loss with weight decay and l1
  StepReport report;
};

struct TrainResult {
  std::vector<TrainRecord> history;  ///< evaluated steps, step 0 first; resumed: from the last one before
  std::vector<double> theta;         ///< the last accepted point; with patience that of the lowest test loss
  std::vector<double> statistics;    ///< its running statistics, for ModelSpec::statistics
  TrainRecord last;                  ///< of theta
  Index accepted_steps = 0, trials = 0;
  double seconds = 0;
  Index planned_bytes = 0, peak_bytes = 0;  ///< on the device: said before, and the most that was live at once
  std::string device, run_directory;
  /// "steps", "epochs", "target_loss", "target_accuracy", "patience", "seconds", "gradients", "trials", "interrupted",
  /// "stalled", "not_finite" or "singular" (five steps in a row, or the last ones), or "diverged": the objective at the
  /// end is above 1000 times that of the start, or 1000
  std::string stop_reason;
  bool numerical_failure = false;  ///< of the last three reasons
  DataDescription data{};          ///< what was taken from options.data; empty where TrainStart has the data
};

/// What a command will take at most, in bytes.
struct MemoryPlan {
  std::string device;      ///< "cpu" or "cuda:0"
  Index device_bytes = 0;  ///< buffers and scratch on the device
  Index host_bytes = 0;  ///< of host memory, the reading of the data included; where the device is the CPU, everything
  Index free_bytes = 0;  ///< on the device, beside what is in use already
};

struct TrainHooks {
  /// When the data are on the device, before anything is computed or written. An exception ends the training there.
  std::function<void(const MemoryPlan&)> on_plan;
  std::function<void(const DataDescription&)> on_data;  ///< before that, where data is read
  /// For people: where a resumed training goes on, and which damaged checkpoint it passed over.
  std::function<void(const std::string&)> on_note;
  std::function<void(const TrainRecord&)> on_record;  ///< after every evaluation
  /// After every optimizer step, which is waited for then; steps that nobody looks at are queued (step_queue.hpp).
  std::function<void(Index step, const StepReport&)> on_step;
  /// Now and then, after a step whose outcome is known: for people who watch. At most ten times a second.
  std::function<void(Index step, const StepReport&)> on_progress;
  /// Asked once a step; true stops after a checkpoint. Under an InterruptScope (interrupt.hpp) a step is left in its
  /// middle as well; it was none then.
  std::function<bool()> interrupted;
  BlockingHook<TrainResult> blocking;  ///< a step that is left so was none either
};

/// Throws the kinds of error.hpp for bad options, data, models, memory and devices, before anything is written.
/// The run directory gets config.toml, env.json, data.json (what was taken from the data), metrics.jsonl, theta.npy,
/// model.safetensors, result.json and checkpoints/step_N/ (written by a thread while the training goes on), and with
/// `spectrum_every` spectra.jsonl: both ends of the spectrum, trace and norm, for all of theta and each layer. With a
/// mask it and every checkpoint have mask.safetensors too: a U8 tensor for each parameter, 1 kept and 0 removed.
/// InputError for a start that does not fit the network: names the tensor and both shapes.
TrainResult train(const TrainOptions& options, const TrainHooks& hooks = {});
/// From a start in memory; options.start is not read then, it stays a note in config.toml.
TrainResult train(const TrainOptions& options, const TrainHooks& hooks, const TrainStart& start);

/// config.toml of a run, and back: `hso eval`, `hso gradient` and others rebuild the network from it.
std::string to_toml(const TrainOptions& options);
TrainOptions parse_train_options(std::string_view text, const std::string& source);

}  // namespace hso
