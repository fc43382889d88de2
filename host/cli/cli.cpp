// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <sstream>
#include <stdexcept>

#include "backend/host_memory.hpp"
#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/signals.hpp"
#include "cli/streams.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/interrupt.hpp"
#include "hsogpu/version.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"

namespace hso::cli {
namespace {

constexpr int kUnexpected = 1, kUsage = static_cast<int>(ErrorKind::usage), kInput = static_cast<int>(ErrorKind::input),
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

std::string out_of_memory(const std::string& command) {
  const DeviceMemory memory = detail::host_memory();
  return fmt::format("{}: the host's memory does not hold the data, or a network of this size: {:.0f} MB are free",
                     command, static_cast<double>(memory.free_bytes) / 1e6);
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

int fail(const std::string& message, int code) {
  fmt::print(stderr, "hso: {}\n", shown_message(message));
  return code;
}

/// What was asked for, for errors that know nothing of it.
std::string command_of(int argc, const char* const* argv) { return argc > 1 ? shown(argv[1]) : "hso"; }

int run_and_judge(int argc, const char* const* argv) {
  try {
    limit_threads();
    return parse_and_run(argc, argv);
  } catch (const Error& e) {
    return fail(e.what(), static_cast<int>(e.kind()));
  } catch (const Interrupted&) {
    return 128 + SignalWatch::caught();
  } catch (const std::filesystem::filesystem_error& e) {
    const bool full = e.code() == std::errc::no_space_on_device;
    return fail(fmt::format("{}: {}", e.path1().string(), e.code().message()), full ? kMemory : kInput);
  } catch (const std::bad_alloc&) {
    return fail(out_of_memory(command_of(argc, argv)), kMemory);
  } catch (const std::length_error&) {
    return fail(out_of_memory(command_of(argc, argv)), kMemory);
  } catch (const std::exception& e) {
    return fail(fmt::format("unexpected: {}", e.what()), kUnexpected);
  }
}

}  // namespace

int run(int argc, const char* const* argv) {
  Streams streams;
  SignalWatch::forget();
  return streams.finish(run_and_judge(argc, argv));
}

}  // namespace hso::cli
