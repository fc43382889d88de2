// SPDX-License-Identifier: Apache-2.0
//
// The help screens.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/command.hpp"

namespace hso::cli {
namespace {

constexpr std::size_t kWidth = 100;

/// `left` and beside it `right` from column `column` on, in lines of at most kWidth columns. A left part that reaches
/// beyond the column has a line of its own.
std::string row(const std::string& left, std::string_view right, std::size_t column) {
  std::string out = left;
  std::size_t at = left.size();
  const auto next_line = [&] {
    out += '\n';
    at = 0;
  };
  if (at + 1 > column) next_line();
  const auto pad = [&] {
    out.append(column - at, ' ');
    at = column;
  };
  pad();
  bool first = true;
  while (!right.empty()) {
    const std::size_t space = std::min(right.find(' '), right.size());
    const std::string_view word = right.substr(0, space);
    right.remove_prefix(std::min(space + 1, right.size()));
    if (!first && at + 1 + word.size() > kWidth) {
      next_line();
      pad();
      first = true;
    }
    if (!first) out += ' ';
    at += word.size() + (first ? 0 : 1);
    out += word;
    first = false;
  }
  return out + '\n';
}

std::string left_of(const Option& option) {
  return fmt::format("  {}{}{}", option.flag(), option.value().empty() ? "" : " ", option.value());
}

}  // namespace

std::string help_screen(const CommandLine& line) {
  std::string out = fmt::format("{} {}: {}\n\nusage: {} COMMAND [OPTIONS]    ({} COMMAND --help lists its options)\n",
                                line.program(), line.version(), line.summary(), line.program(), line.program());
  std::string section;
  for (const Command& command : line.commands()) {
    if (command.section().empty()) continue;
    if (command.section() != section) out += fmt::format("\n{}\n", command.section());
    section = command.section();
    out += row("  " + command.name(), command.summary(), 15);
  }
  return out + "\n" + line.footer();
}

std::string help_screen(const CommandLine& line, const Command& command) {
  std::string usage = fmt::format("usage: {} {}", line.program(), command.name());
  for (const Option& option : command.options())
    if (option.flag().rfind("--", 0) != 0)
      usage += option.many() ? fmt::format(" {}...", option.flag()) : fmt::format(" [{}]", option.flag());
  std::string out =
      fmt::format("{} {}: {}\n\n{} [OPTIONS]\n", line.program(), command.name(), command.summary(), usage);
  std::string group;
  for (const Option* option : command.in_groups()) {
    if (option->group() != group) out += fmt::format("\n{}\n", option->group());
    group = option->group();
    out += row(left_of(*option), option->help(), 28);
  }
  return out;
}

}  // namespace hso::cli
