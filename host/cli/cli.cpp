// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>

#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/version.hpp"
#include "io/suggest.hpp"

namespace hso::cli {
namespace {

constexpr int kUnexpected = 1, kUsage = static_cast<int>(ErrorKind::usage),
              kMemory = static_cast<int>(ErrorKind::memory);

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
  const int code = app.exit(error);
  if (code == 0) return 0;
  for (const std::string& word : app.remaining(true))
    if (const std::string hint = did_you_mean(word.substr(0, word.find('=')), known_words(app)); !hint.empty())
      fmt::print(stderr, "{}{}\n", word, hint);
  return kUsage;
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

int fail(const char* message, int code) {
  fmt::print(stderr, "hso: {}\n", message);
  return code;
}

}  // namespace

int run(int argc, const char* const* argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const Error& e) {
    return fail(e.what(), static_cast<int>(e.kind()));
  } catch (const std::bad_alloc&) {
    return fail("out of memory", kMemory);
  } catch (const std::exception& e) {
    return fail(fmt::format("unexpected: {}", e.what()).c_str(), kUnexpected);
  }
}

}  // namespace hso::cli
