// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/signals.hpp"
#include "cli/streams.hpp"
#include "hsogpu/version.hpp"
#include "io/shown_text.hpp"

namespace hso::cli {
namespace {

/// Threads that the machine cannot give end the process inside the OpenMP runtime; more than this help nobody.
void limit_threads() {
  const int most = std::max(4 * omp_get_num_procs(), 64);
  if (omp_get_max_threads() <= most) return;
  fmt::print(stderr, "note: {} threads were asked for, {} are taken (OMP_NUM_THREADS)\n", omp_get_max_threads(), most);
  omp_set_num_threads(most);
}

constexpr const char* kFooter =
    "examples\n"
    "  hso train --optimizer hso.kfac --steps 11\n"
    "  hso spectrum --checkpoint runs/digits-hso.kfac-001 --method lanczos --k 5\n"
    "  hso prune --checkpoint runs/digits-hso.kfac-001 --score obs --sparsity 0.8 --finetune 5\n"
    "\n"
    "A flag wins over its HSO_* variable (--weight-decay: HSO_WEIGHT_DECAY), that over --config, that\n"
    "over the default in brackets. Exit codes: 0 done, 1 unexpected, 2 usage, 3 bad input, 4 out of\n"
    "memory or disk, 5 numerical failure, 6 device, 7 printed text was lost, 128 + N signal N.\n";

int parse_and_run(int argc, const char* const* argv) {
  CommandLine line("hso", HSOGPU_VERSION, "exact curvature of neural networks");
  add_commands(line);
  return line.run(argc, argv);
}

/// What was asked for, for errors that know nothing of it.
std::string command_of(int argc, const char* const* argv) { return argc > 1 ? shown(argv[1]) : "hso"; }

}  // namespace

void add_commands(CommandLine& line) {
  for (const auto add : {add_train, add_eval, add_prune, add_report, add_spectrum, add_hessian, add_solve, add_gradient,
                         add_check, add_lists, add_generators})
    add(line);
  line.footer(kFooter);
}

int run(int argc, const char* const* argv) {
  Streams streams;
  SignalWatch::forget();
  return streams.finish(exit_code_of(command_of(argc, argv), [&] {
    limit_threads();
    return parse_and_run(argc, argv);
  }));
}

}  // namespace hso::cli
