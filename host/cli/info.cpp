// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/blas.hpp"
#include "cli/commands.hpp"
#include "hsogpu/context.hpp"
#include "hsogpu/model.hpp"
#include "hsogpu/optimizer.hpp"
#include "hsogpu/version.hpp"

namespace hso::cli {
namespace {

using Json = nlohmann::ordered_json;

struct InfoCommand {
  std::string model;
  bool json = false;

  void run() const {
    if (!model.empty())
      json ? print_model_json() : fmt::print("{}", summary_table(parse_model(model)));
    else
      json ? print_json() : print_text();
  }

  static std::vector<std::string> optimizers() {
    std::vector<std::string> names;
    for (const OptimizerInfo& info : optimizer_table()) names.push_back(info.name);
    return names;
  }

  static void print_text() {
    fmt::print("hso {} (compiler {}, {} threads)\n", HSOGPU_VERSION, __VERSION__, omp_get_max_threads());
    fmt::print("devices\n  {}\n", fmt::join(list_devices(), "\n  "));
    fmt::print("libraries\n  {}\n", fmt::join(list_libraries(), "\n  "));
    fmt::print("core type   {}\n", openblas_get_corename());
    fmt::print("models      mlp:A-...-Z[:activation], {}\n", fmt::join(model_names(), ", "));
    fmt::print("losses      {}\n", fmt::join(loss_names(), ", "));
    fmt::print("optimizers  {}\n", fmt::join(optimizers(), ", "));
  }

  static void print_json() {
    Json out{{"version", HSOGPU_VERSION}, {"compiler", __VERSION__},       {"threads", omp_get_max_threads()},
             {"devices", list_devices()}, {"libraries", list_libraries()}, {"core_type", openblas_get_corename()},
             {"models", model_names()},   {"losses", loss_names()},        {"optimizers", optimizers()}};
    fmt::print("{}\n", out.dump(2));
  }

  void print_model_json() const {
    Json layers = Json::array();
    Index parameters = 0;
    const ModelSpec spec = parse_model(model);
    for (const LayerSummary& layer : summarize(spec)) {
      layers.push_back({{"name", layer.name},
                        {"type", layer.type},
                        {"output", layer.output.to_string()},
                        {"parameters", layer.parameters},
                        {"multiply_adds", layer.multiply_adds}});
      parameters += layer.parameters;
    }
    const Json out{{"model", model}, {"parameters", parameters}, {"layers", layers}};
    fmt::print("{}\n", out.dump(2));
  }
};

}  // namespace

void add_info(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("info", "Version, build, devices, libraries, models");
  const auto info = std::make_shared<InfoCommand>();
  command->add_option("--model", info->model, "print this model's layers instead");
  command->add_flag("--json", info->json, "print JSON");
  command->callback([info, &exit_code] {
    info->run();
    exit_code = 0;
  });
}

}  // namespace hso::cli
