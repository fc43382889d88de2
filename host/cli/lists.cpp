// SPDX-License-Identifier: Apache-2.0
//
// hso optimizers, models, scores and info: what there is to choose from, from the tables of the library.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/blas.hpp"
#include "cli/commands.hpp"
#include "hsogpu/core/context.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "hsogpu/prune/removal.hpp"
#include "hsogpu/version.hpp"
#include "io/suggest.hpp"

namespace hso::cli {
namespace {

using Json = nlohmann::ordered_json;

template <class Table>
std::vector<std::string> names_of(const Table& table) {
  std::vector<std::string> names;
  for (const auto& info : table) names.push_back(info.name);
  return names;
}

std::vector<std::string> optimizers_and_wrappers() {
  std::vector<std::string> names = names_of(optimizer_table());
  for (const WrapperInfo& info : wrapper_table()) names.push_back(info.name);
  return names;
}

void print_options(const std::vector<OptionInfo>& options, const char* none) {
  for (const OptionInfo& o : options)
    fmt::print("  {:<18}{} [{}]\n", o.name, o.help, o.default_value.empty() ? none : o.default_value);
}

void print_optimizers() {
  fmt::print("optimizers: hso train --optimizer NAME --set OPTION=VALUE; hso optimizers NAME lists the options\n");
  for (const OptimizerInfo& info : optimizer_table()) fmt::print("  {:<14}{}\n", info.name, info.summary);
  fmt::print("\nwrappers around any of them, inside out: --wrap NAME[:VALUE...], repeated\n");
  for (const WrapperInfo& info : wrapper_table()) fmt::print("  {:<44}{}\n", info.grammar(), info.summary);
}

int print_optimizer(const std::string& name) {
  for (const OptimizerInfo& info : optimizer_table())
    if (info.name == name) {
      fmt::print("{}: {}\n", info.name, info.summary);
      print_options(info.options, "none");
      return 0;
    }
  for (const WrapperInfo& info : wrapper_table())
    if (info.name == name) {
      fmt::print("--wrap {}: {}\n", info.grammar(), info.summary);
      print_options(info.arguments, "required");
      return 0;
    }
  const std::vector<std::string> names = optimizers_and_wrappers();
  throw UsageError(fmt::format("optimizers: found '{}'{}, expected one of {}", name, did_you_mean(name, names),
                               fmt::join(names, ", ")));
}

void add_optimizers(CommandLine& line) {
  Command& command =
      line.add("optimizers", "methods for --optimizer and wrappers for --wrap, or the options of one", kListSection);
  const auto name = std::make_shared<std::string>();
  command.word("NAME", *name, "an optimizer or a wrapper, to list its options").words(optimizers_and_wrappers());
  command.runs([name] {
    if (!name->empty()) return print_optimizer(*name);
    print_optimizers();
    return 0;
  });
}

Json model_json(const std::string& model) {
  Json layers = Json::array();
  Index parameters = 0;
  for (const LayerSummary& layer : summarize(parse_model(model))) {
    layers.push_back({{"name", layer.name},
                      {"type", layer.type},
                      {"output", layer.output.to_string()},
                      {"parameters", layer.parameters},
                      {"multiply_adds", layer.multiply_adds}});
    parameters += layer.parameters;
  }
  return {{"model", model}, {"parameters", parameters}, {"layers", layers}};
}

Index parameters_of(const std::string& model) {
  Index out = 0;
  for (const LayerSummary& layer : summarize(parse_model(model))) out += layer.parameters;
  return out;
}

struct ModelsCommand {
  std::string model;
  bool json = false;

  int run() const {
    if (!model.empty()) {
      fmt::print("{}", json ? model_json(model).dump(2) + "\n" : summary_table(parse_model(model)));
      return 0;
    }
    if (json) {
      fmt::print("{}\n", Json(model_names()).dump(2));
      return 0;
    }
    fmt::print("networks: hso train --model NAME; hso models NAME lists the layers\n");
    fmt::print("  {:<14}{}\n", "mlp:A-...-Z",
               "fully connected, sizes from input to output, with :ACTIVATION at the end");
    for (const std::string& name : model_names()) fmt::print("  {:<14}{} parameters\n", name, parameters_of(name));
    fmt::print("  {:<14}{}\n", "FILE.toml", "layers of one's own");
    fmt::print("activations: {}\n", fmt::join(activation_names(), ", "));
    fmt::print("losses: {}\n", fmt::join(loss_names(), ", "));
    return 0;
  }
};

void add_models(CommandLine& line) {
  Command& command = line.add("models", "networks for --model, or the layers of one", kListSection);
  const auto models = std::make_shared<ModelsCommand>();
  command.word("MODEL", models->model, "a network, to list its layers").words(model_names());
  command.flag("--json", models->json, "print JSON");
  command.runs([models] { return models->run(); });
}

void add_scores(CommandLine& line) {
  line.add("scores", "what `hso prune --score` may rank parameters by", kListSection).runs([] {
    fmt::print("scores: hso prune --score NAME; those with * also move the parameters that stay\n");
    for (const PruneScoreInfo& info : prune_score_table())
      fmt::print("  {:<14}{}{}\n", info.name, info.summary, info.compensates ? " *" : "");
    return 0;
  });
}

void print_info() {
  fmt::print("hso {} (compiler {}, {} threads)\n", HSOGPU_VERSION, __VERSION__, omp_get_max_threads());
  fmt::print("devices\n  {}\n", fmt::join(list_devices(), "\n  "));
  fmt::print("libraries\n  {}\n", fmt::join(list_libraries(), "\n  "));
  fmt::print("core type   {}\n", openblas_get_corename());
}

Json info_json() {
  return {{"version", HSOGPU_VERSION},    {"compiler", __VERSION__},       {"threads", omp_get_max_threads()},
          {"devices", list_devices()},    {"libraries", list_libraries()}, {"core_type", openblas_get_corename()},
          {"models", model_names()},      {"losses", loss_names()},        {"optimizers", names_of(optimizer_table())},
          {"scores", prune_score_names()}};
}

void add_info(CommandLine& line) {
  Command& command = line.add("info", "version, compiler, devices and libraries", kListSection);
  const auto json = std::make_shared<bool>(false);
  command.flag("--json", *json, "print JSON, with the names of what can be chosen");
  command.runs([json] {
    if (*json)
      fmt::print("{}\n", info_json().dump(2));
    else
      print_info();
    return 0;
  });
}

}  // namespace

void add_lists(CommandLine& line) {
  add_optimizers(line);
  add_models(line);
  add_scores(line);
  add_info(line);
}

}  // namespace hso::cli
