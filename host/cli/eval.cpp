// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "hsogpu/error.hpp"
#include "io/shown_numbers.hpp"
#include "io/shown_text.hpp"
#include "train/data_request.hpp"
#include "train/fields.hpp"
#include "train/saved_run.hpp"
#include "train/training_memory.hpp"

namespace hso::cli {
namespace {

constexpr Index kRowsAtATime = 2048;
constexpr const char* kNotFinite = "the loss is not finite at these parameters, on this data, in this precision";

struct Part {
  std::string key;   ///< in the JSON, beside "data": "train", "test", or "all" of other data than the run's
  std::string name;  ///< for people: the same, or the data that was asked for
  Dataset data;
  Evaluation result;
};

template <class T>
Evaluation evaluate(Context& context, const Network<T>& network, const Dataset& data,
                    const std::vector<double>& theta) {
  const TrainingNeeds needs{static_cast<Index>(data.inputs.size() + data.targets.size()),
                            std::min(kRowsAtATime, data.size), 0, false};
  const Index rows = plan_memory<T>(context, network.graph, needs).rows;
  const DeviceData<T> device(context, network, data);
  NetworkObjective<T> objective(context, network, device, {rows, 1, 0});
  const Buffer<T> point(context, std::vector<T>(theta.begin(), theta.end()));
  return objective.evaluate(point.data());
}

class EvalCommand {
 public:
  explicit EvalCommand(Command& command)
      : layers_(command, {"data", "label", "header", "separator", "device", "precision", "tf32", "deterministic"}) {
    command.group(kFiles);
    command.option("--checkpoint RUN", checkpoint_, "run directory, or one of its checkpoints/step_N").required();
    command.flag("--json", json_, "print JSON: data, and train and test of the run's data or all of other data");
  }

  int run() const {
    const SavedRun run = load_run(checkpoint_);
    TrainOptions base = run.options;
    base.device = TrainOptions{}.device;
    TrainOptions options = layers_.resolve(base);
    forget_csv_options(options, layers_);
    check_train_options(options);
    DataDescription description;
    std::vector<Part> parts = read_parts(run, options, description);
    print_data(description);
    const auto context =
        Context::create(options.device, {.tf32 = options.tf32, .deterministic = options.deterministic});
    with_precision(options.precision, [&](auto zero) {
      using T = decltype(zero);
      const Network<T> network = build_network<T>(run.model, options.loss);
      for (Part& part : parts) part.result = evaluate<T>(*context, network, part.data, run.theta);
    });
    json_ ? print_json(parts, description) : print_text(parts);
    return judge(parts);
  }

 private:
  /// The run's own parts, or all of another data set, scaled as the run's training part was.
  static std::vector<Part> read_parts(const SavedRun& run, const TrainOptions& options, DataDescription& description) {
    const bool own = options.data == run.options.data;
    DataRequest request = data_request(options, run);
    request.part = own ? DataPart::both : DataPart::all;
    PreparedData data = prepare_data(run.model, options.loss, request);
    description = std::move(data.description);
    std::vector<Part> parts;
    parts.push_back({own ? "train" : "all", own ? "train" : options.data, std::move(data.split.train), {}});
    if (data.split.test.size > 0) parts.push_back({"test", "test", std::move(data.split.test), {}});
    return parts;
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
      entry["samples"] = part.data.size;
      entry["loss"] = or_null(part.result.loss);
      if (entry["loss"].is_null()) entry["reason"] = kNotFinite;
      entry["accuracy"] = part.result.accuracy;
      if (part.result.accuracy < 0) entry["accuracy"] = nullptr;
    }
    fmt::print("{}\n", json.dump());
  }

  static void print_text(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      fmt::print("{}: {} samples, loss {:.6g}", part.name, part.data.size, unsigned_nan(part.result.loss));
      if (part.result.accuracy >= 0) fmt::print(", accuracy {:.2f} %", 100 * part.result.accuracy);
      fmt::print("\n");
    }
  }

  OptionLayers layers_;
  std::string checkpoint_;
  bool json_ = false;
};

}  // namespace

void add_eval(CommandLine& line) {
  Command& command = line.add("eval", "loss and accuracy of a trained network", kTrainSection);
  command.runs([eval = std::make_shared<EvalCommand>(command)] { return eval->run(); });
}

}  // namespace hso::cli
