// SPDX-License-Identifier: Apache-2.0
//
// The program's commands, one file each. A command adds its subcommand to the parser; its callback does the work,
// throws hso::Error kinds for what goes wrong, and sets `exit_code` where the outcome is not 0 (5: numerical failure).
// Human text goes to stderr, data to stdout or files.
#pragma once

namespace CLI {
class App;
}

namespace hso::cli {

void add_train(CLI::App& app, int& exit_code);
void add_eval(CLI::App& app, int& exit_code);
void add_gradient(CLI::App& app, int& exit_code);
void add_hessian(CLI::App& app, int& exit_code);
void add_solve(CLI::App& app, int& exit_code);
void add_spectrum(CLI::App& app, int& exit_code);
void add_prune(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_info(CLI::App& app, int& exit_code);

/// The whole program: parses, runs, maps errors to exit codes (2 usage, 3 input, 4 memory, 5 numerical, 6 device, 7
/// something printed was lost, 128 + N ended by signal N). Never throws.
int run(int argc, const char* const* argv);

}  // namespace hso::cli
