// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/memory_flags.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/tape.hpp"
#include "io/shown_numbers.hpp"
#include "io/shown_text.hpp"
#include "nn/class_steps.hpp"
#include "train/data_request.hpp"
#include "train/fields.hpp"
#include "train/memory_plan.hpp"
#include "train/placed_data.hpp"
#include "train/saved_run.hpp"

namespace hso::cli {
namespace {

constexpr Index kRowsAtATime = 2048;
constexpr const char* kNotFinite = "the loss is not finite at these parameters, on this data, in this precision";

struct Part {
  std::string key;   ///< in the JSON, beside "data": "train", "test", or "all" of other data than the run's
  std::string name;  ///< for people: the same, or the data that was asked for
  Index samples = 0;
  Evaluation result;
  bool sequences = false;  ///< the loss is that of a token
};

double bits_of(const Part& part) { return part.result.loss / std::log(2.0); }

class EvalCommand {
 public:
  explicit EvalCommand(Command& command)
      : layers_(command, {"data", "label", "header", "separator", "device", "precision", "tf32", "deterministic"}),
        memory_(command) {
    command.group(kFiles);
    command.option("--checkpoint RUN", checkpoint_, "run directory, or one of its checkpoints/step_N").required();
    command.flag("--json", json_, "print JSON: data, and train and test of the run's data or all of other data");
  }

  int run() const {
    memory_.start();
    const SavedRun run = load_run(checkpoint_);
    TrainOptions base = run.options;
    base.device = TrainOptions{}.device;
    TrainOptions options = layers_.resolve(base);
    forget_csv_options(options, layers_);
    check_train_options(options);
    const auto context =
        Context::create(options.device, {.tf32 = options.tf32, .deterministic = options.deterministic});
    const detail::MemoryMark before;
    const bool own = options.data == run.options.data;
    DataRequest request = data_request(options, run);
    request.part = own ? DataPart::both : DataPart::all;
    PreparedData data = prepare_data(run.model, options.loss, request);
    print_data(data.description);
    std::vector<Part> parts{{own ? "train" : "all", own ? "train" : options.data, data.split.train.size, {}}};
    if (data.split.test.size > 0) parts.push_back({"test", "test", data.split.test.size, {}});
    bool stopped = false;
    with_precision(options.precision, [&](auto zero) {
      stopped = !evaluate<decltype(zero)>(*context, run, options.loss, data.split, before, parts);
    });
    if (stopped) return 0;
    json_ ? print_json(parts, data.description) : print_text(parts);
    return judge(parts);
  }

 private:
  /// False: the plan was all that was asked for.
  template <class T>
  bool evaluate(Context& context, const SavedRun& run, LossKind loss, DataSplit& split,
                const detail::MemoryMark& before, std::vector<Part>& parts) const {
    const Network<T> network = build_network<T>(run.model, loss);
    for (Part& part : parts) part.sequences = labels_steps(loss, network.output);
    const PlacedData<T> placed(context, network, split, &split);
    Index most = 1;
    for (const Part& part : parts) most = std::max(most, std::min(kRowsAtATime, part.samples));
    const Index rows = rows_that_fit(context, network.graph, most);
    const Buffer<T> theta(context, std::vector<T>(run.theta.begin(), run.theta.end()));
    const Index numbers = placed.train.size * static_cast<Index>(sizeof(Index));
    const Index work =
        context.allocated_bytes() + numbers + Tape<T>::bytes(context, network.graph, rows, 0) + kScratchBytes;
    if (memory_.stops_after(
            plan_of(context, work, static_cast<Index>(run.theta.size() * sizeof(double)), before.most_growth())))
      return false;
    for (Part& part : parts) {
      const DeviceData<T>& data = &part == &parts.front() ? placed.train : *placed.test;
      part.result = NetworkObjective<T>(context, network, data, {rows, 1, 0}).evaluate(theta.data());
    }
    return true;
  }

  /// What is null in the JSON is said and makes the exit code.
  static int judge(const std::vector<Part>& parts) {
    int code = 0;
    for (const Part& part : parts) {
      if (std::isfinite(part.result.loss)) continue;
      fmt::print(stderr, "hso: {}: {}: {}\n", part.name, kNotFinite, unsigned_nan(part.result.loss));
      code = static_cast<int>(ErrorKind::numerical);
    }
    return code;
  }

  static void print_json(const std::vector<Part>& parts, const DataDescription& description) {
    nlohmann::ordered_json json;
    json["data"] = nlohmann::ordered_json::parse(description.json());
    for (const Part& part : parts) {
      auto& entry = json[part.key];
      entry["samples"] = part.samples;
      entry["loss"] = or_null(part.result.loss);
      if (entry["loss"].is_null()) entry["reason"] = kNotFinite;
      entry["accuracy"] = part.result.accuracy;
      if (part.result.accuracy < 0) entry["accuracy"] = nullptr;
      if (!part.sequences) continue;
      entry["bits_per_token"] = or_null(bits_of(part));
      entry["perplexity"] = or_null(std::exp(part.result.loss));
    }
    fmt::print("{}\n", json.dump());
  }

  static void print_text(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      fmt::print("{}: {} samples, loss {:.6g}", part.name, part.samples, unsigned_nan(part.result.loss));
      if (part.result.accuracy >= 0) fmt::print(", accuracy {:.2f} %", 100 * part.result.accuracy);
      if (part.sequences)
        fmt::print(", {:.4g} bits a token, perplexity {:.4g}", bits_of(part), std::exp(part.result.loss));
      fmt::print("\n");
    }
  }

  OptionLayers layers_;
  MemoryFlags memory_;
  std::string checkpoint_;
  bool json_ = false;
};

}  // namespace

void add_eval(CommandLine& line) {
  Command& command = line.add("eval", "loss and accuracy of a trained network", kTrainSection);
  command.runs([eval = std::make_shared<EvalCommand>(command)] { return eval->run(); });
}

}  // namespace hso::cli
