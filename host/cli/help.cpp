// SPDX-License-Identifier: Apache-2.0
#include "cli/help.hpp"

#include <fmt/format.h>

#include "hsogpu/optimizer.hpp"
#include "hsogpu/wrappers.hpp"

namespace hso::cli {

std::string optimizer_help() {
  std::string out = "Optimizers and their options (--optimizer NAME --set OPTION=VALUE):\n";
  for (const OptimizerInfo& info : optimizer_table()) {
    out += fmt::format("  {:<10}{}\n", info.name, info.summary);
    for (const OptionInfo& option : info.options)
      out += fmt::format("    {:<16}{} [{}]\n", option.name, option.help, option.default_value);
  }
  out += "Wrappers around any of them, inside out (--wrap NAME[:VALUE...], repeated):\n";
  for (const WrapperInfo& info : wrapper_table()) {
    out += fmt::format("  {:<44}{}\n", info.grammar(), info.summary);
    for (const OptionInfo& a : info.arguments)
      out += fmt::format("    {:<16}{}{}\n", a.name, a.help,
                         a.default_value.empty() ? "" : fmt::format(" [{}]", a.default_value));
  }
  return out + "\n" + exit_code_help();
}

std::string exit_code_help() {
  return "Options: a flag wins over its HSO_* variable (--weight-decay: HSO_WEIGHT_DECAY), that over --config, that "
         "over\n"
         "the default.\n"
         "Exit codes: 0 done, 1 unexpected, 2 usage, 3 bad input, 4 out of memory or disk, 5 numerical failure,\n"
         "6 device, 7 done, but not all of standard output or standard error could be written (what was asked for as\n"
         "files is there), 128 + N ended by signal N (129 HUP, 130 INT, 143 TERM) with what was known written.\n";
}

}  // namespace hso::cli
