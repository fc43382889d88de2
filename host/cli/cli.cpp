// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/judge.hpp"
#include "cli/signals.hpp"
#include "cli/streams.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/version.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"

namespace hso::cli {
namespace {

constexpr int kUsage = static_cast<int>(ErrorKind::usage);

/// Long flags of the commands that were named, or the names of all commands when none was.
std::vector<std::string> known_words(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* command : app.get_subcommands())
    for (const CLI::Option* option : command->get_options())
      for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  if (!words.empty()) return words;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    words.push_back(command->get_name());
  return words;
}

int report(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out, err;
  const int code = app.exit(error, out, err);
  fmt::print(stdout, "{}", out.str());
  fmt::print(stderr, "{}", shown_message(err.str()));
  if (code == 0) return 0;
  for (const std::string& word : app.remaining(true))
    if (const std::string hint = did_you_mean(word.substr(0, word.find('=')), known_words(app)); !hint.empty())
      fmt::print(stderr, "{}{}\n", shown(word), hint);
  return kUsage;
}

/// Threads that the machine cannot give end the process inside the OpenMP runtime; more than this help nobody.
void limit_threads() {
  const int most = std::max(4 * omp_get_num_procs(), 64);
  if (omp_get_max_threads() <= most) return;
  fmt::print(stderr, "note: {} threads were asked for, {} are taken (OMP_NUM_THREADS)\n", omp_get_max_threads(), most);
  omp_set_num_threads(most);
}

int parse_and_run(int argc, const char* const* argv) {
  int exit_code = 0;
  CLI::App app("Exact curvature of neural networks: second-order training, Hessian analysis and pruning", "hso");
  app.set_version_flag("--version", "hso " HSOGPU_VERSION);
  app.require_subcommand(1);
  app.footer(optimizer_help());
  for (const auto add :
       {add_train, add_eval, add_gradient, add_hessian, add_solve, add_spectrum, add_prune, add_check, add_info})
    add(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return report(app, e);
  }
  return exit_code;
}

/// What was asked for, for errors that know nothing of it.
std::string command_of(int argc, const char* const* argv) { return argc > 1 ? shown(argv[1]) : "hso"; }

}  // namespace

int run(int argc, const char* const* argv) {
  Streams streams;
  SignalWatch::forget();
  return streams.finish(judged(command_of(argc, argv), [&] {
    limit_threads();
    return parse_and_run(argc, argv);
  }));
}

}  // namespace hso::cli
