// SPDX-License-Identifier: Apache-2.0
//
// hso completion and hso manual: shell completion and manual pages from the table of commands and options. An
// installation runs both (cmake/HsoInstall.cmake).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "cli/commands.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::cli {
namespace {

bool is_flag(const Option& option) { return option.flag().rfind("--", 0) == 0; }

/// Commands that people type.
std::vector<const Command*> shown_commands(const CommandLine& line) {
  std::vector<const Command*> out;
  for (const Command& command : line.commands())
    if (!command.section().empty()) out.push_back(&command);
  return out;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

/// Options that have words complete to them, all others to files.
std::string bash_completion(const CommandLine& line) {
  std::vector<std::string> names;
  std::string commands, words;
  for (const Command* command : shown_commands(line)) {
    names.push_back(command->name());
    std::vector<std::string> flags{"--help"}, bare;
    for (const Option& option : command->options()) {
      if (is_flag(option)) flags.push_back(option.flag());
      if (option.words().empty()) continue;
      if (is_flag(option))
        words +=
            fmt::format("    '{} {}') words='{}' ;;\n", command->name(), option.flag(), fmt::join(option.words(), " "));
      else
        bare = option.words();
    }
    flags.insert(flags.end(), bare.begin(), bare.end());
    commands += fmt::format("    {}) flags='{}' ;;\n", command->name(), fmt::join(flags, " "));
  }
  return fmt::format(R"(# bash completion of {0}
_{0}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}} flags= words=
  COMPREPLY=()
  if [[ $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W '{1} --help --version' -- "$current"))
    return
  fi
  case "$command $previous" in
{2}  esac
  case "$command" in
{3}  esac
  if [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  elif [[ $current == -* || $command == optimizers || $command == models ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  fi
}}
complete -o default -F _{0} {0}
)",
                     line.program(), fmt::join(names, " "), words, commands);
}

/// Inside of single quotes, and of the brackets of _arguments.
std::string zsh_text(const std::string& text) {
  return replaced(replaced(replaced(replaced(text, "'", "'\\''"), "[", "\\["), "]", "\\]"), ":", "\\:");
}

std::string zsh_argument(const Option& option) {
  const std::string values = option.words().empty() ? "_files" : fmt::format("({})", fmt::join(option.words(), " "));
  if (!is_flag(option)) return fmt::format("      '{}:{}:{}'", option.many() ? "*" : ":", option.flag(), values);
  const std::string value = option.value().empty() ? "" : fmt::format(":{}:{}", zsh_text(option.value()), values);
  return fmt::format("      '*{}[{}]{}'", option.flag(), zsh_text(option.help()), value);
}

std::string zsh_completion(const CommandLine& line) {
  std::string names, cases;
  for (const Command* command : shown_commands(line)) {
    names += fmt::format("    '{}:{}'\n", command->name(), zsh_text(command->summary()));
    std::vector<std::string> arguments{"      '--help[the options of this command]'"};
    for (const Option& option : command->options()) arguments.push_back(zsh_argument(option));
    cases += fmt::format("    {}) _arguments \\\n{} ;;\n", command->name(), fmt::join(arguments, " \\\n"));
  }
  return fmt::format(R"(#compdef {0}
# zsh completion of {0}
_{0}() {{
  local -a commands
  commands=(
{1}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{2}  esac
}}
_{0} "$@"
)",
                     line.program(), names, cases);
}

/// Text of a manual page: backslashes and leading dots and quotes mean something to troff.
std::string troff(const std::string& text) {
  std::string out = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out = "\\&" + out;
  return out;
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

/// Lines as they are.
std::string literal(const std::string& text) {
  std::string out = ".nf\n";
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += troff(text.substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  return out + ".fi\n";
}

std::string page(const CommandLine& line, const std::string& name, const std::string& summary) {
  return fmt::format(".TH {} 1 \"\" \"{} {}\"\n.SH NAME\n{} \\- {}\n", upper(name), line.program(), line.version(),
                     troff(name), troff(summary));
}

std::string manual(const CommandLine& line) {
  std::string out = page(line, line.program(), line.summary()) + ".SH SYNOPSIS\n.B " + line.program() +
                    "\n.I COMMAND\n[OPTIONS]\n.SH COMMANDS\n";
  for (const Command* command : shown_commands(line))
    out += fmt::format(".TP\n.BR {}\\-{} (1)\n{}\n", line.program(), command->name(), troff(command->summary()));
  return out + ".SH NOTES\n" + literal(line.footer());
}

std::string manual(const CommandLine& line, const Command& command) {
  std::string out = page(line, line.program() + "-" + command.name(), command.summary()) +
                    fmt::format(".SH SYNOPSIS\n.B {} {}\n[OPTIONS]\n", line.program(), command.name());
  std::string group;
  for (const Option* option : command.in_groups()) {
    if (option->group() != group) out += fmt::format(".SH {}\n", upper(option->group()));
    group = option->group();
    out += fmt::format(".TP\n.B {}{}\n{}\n", troff(option->flag()),
                       option->value().empty() ? "" : " \\fI" + troff(option->value()) + "\\fR", troff(option->help()));
  }
  return out + fmt::format(".SH SEE ALSO\n.BR {} (1)\n", line.program());
}

std::string manual_of(const CommandLine& line, const std::string& name) {
  if (name.empty()) return manual(line);
  for (const Command* command : shown_commands(line))
    if (command->name() == name) return manual(line, *command);
  throw UsageError(fmt::format("manual: found '{}', expected a command", name));
}

std::string completion_for(const CommandLine& line, const std::string& shell) {
  if (shell == "bash") return bash_completion(line);
  if (shell == "zsh") return zsh_completion(line);
  throw UsageError(fmt::format("completion: found '{}', expected bash or zsh", shell));
}

/// A command that prints text made from the table by `make(line, word)`.
template <class Make>
void add_generator(CommandLine& line, const char* name, const char* summary, const char* word, const Make& make) {
  Command& command = line.add(name, summary, "");
  const auto given = std::make_shared<std::string>();
  command.word(word, *given, summary);
  command.runs([&line, given, make] {
    fmt::print("{}", make(line, *given));
    return 0;
  });
}

}  // namespace

void add_generators(CommandLine& line) {
  add_generator(line, "completion", "shell completion, for bash or zsh", "SHELL", completion_for);
  add_generator(line, "manual", "the manual page of the program, or of a command", "COMMAND", manual_of);
}

}  // namespace hso::cli
