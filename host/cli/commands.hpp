// SPDX-License-Identifier: Apache-2.0
//
// The program's commands, one file each. A command adds itself and its options to the command line; running it does the
// work, throws hso::Error kinds for what goes wrong, and gives the exit code (5: numerical failure).
// Human text goes to stderr, data to stdout or files.
#pragma once

#include "cli/command.hpp"

namespace hso::cli {

// Sections of the help.
inline constexpr const char* kTrainSection = "train and prune";
inline constexpr const char* kCurvatureSection = "curvature at the parameters of a run, of a file, or fresh ones";
inline constexpr const char* kListSection = "lists";

void add_train(CommandLine& line);
void add_eval(CommandLine& line);
void add_gradient(CommandLine& line);
void add_hessian(CommandLine& line);
void add_solve(CommandLine& line);
void add_spectrum(CommandLine& line);
void add_prune(CommandLine& line);
void add_report(CommandLine& line);
void add_check(CommandLine& line);
/// optimizers, models, scores, info
void add_lists(CommandLine& line);
/// completion and manual, which packages install and nobody types
void add_generators(CommandLine& line);

/// All of them, as `hso` has them.
void add_commands(CommandLine& line);

/// The whole program: parses, runs, maps errors to exit codes (2 usage, 3 input, 4 memory, 5 numerical, 6 device, 7
/// something printed was lost, 128 + N ended by signal N). Never throws.
int run(int argc, const char* const* argv);

}  // namespace hso::cli
