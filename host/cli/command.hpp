// SPDX-License-Identifier: Apache-2.0
//
// The command line as one table: commands with their options, which the parser, the help, the manual pages and shell
// completion read. command.cpp alone knows the parser, CLI11, whose headers take seconds to compile.
//
//   Command& command = line.add("gradient", "loss and gradient of a model on data, as a file", "look at curvature");
//   command.option("--out FILE.npy", out, "where the gradient goes, [n]").required();
//   command.flag("--json", json, "print the loss as JSON");
//   command.runs([] { ...; return 0; });
//
// What an option sets must outlive the parsing, as must the command line itself; a default stands in brackets at the
// end of the help.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace hso::cli {

/// The group that stands last in the help: what is read and written beside the data.
inline constexpr const char* kFiles = "files and output";

class Option {
 public:
  /// `many`: a word that may be repeated.
  Option(CLI::Option* parsed, std::string flag, std::string value, std::string help, std::string group,
         bool many = false)
      : parsed_(parsed),
        flag_(std::move(flag)),
        value_(std::move(value)),
        help_(std::move(help)),
        group_(std::move(group)),
        many_(many) {}

  Option& required();
  /// A number out of range, or text that is none, is refused: "--probes: found '1', expected a whole number from 2 to
  /// 1000000000". A billion is above any number that makes sense, and products of two of them do not overflow.
  Option& whole_number(Index least, Index most = 1'000'000'000);
  Option& from_zero();   ///< a finite number of at least 0
  Option& above_zero();  ///< a finite number above 0
  /// Bytes, with a unit: 2GB. The option's target is a std::uint64_t.
  Option& bytes();
  /// Given twice, the values are joined by a comma; without this the last one counts where last_counts() says so, and
  /// twice is an error elsewhere.
  Option& joined();
  Option& last_counts();
  /// Words that completion offers. What is none of them is for the command to refuse.
  Option& words(std::vector<std::string> words);

  bool given() const;
  const std::string& flag() const { return flag_; }    ///< "--out"
  const std::string& value() const { return value_; }  ///< "FILE.npy"; empty for what takes none
  const std::string& help() const { return help_; }
  const std::string& group() const { return group_; }
  const std::vector<std::string>& words() const { return words_; }
  bool many() const { return many_; }

 private:
  CLI::Option* parsed_;
  std::string flag_, value_, help_, group_;
  std::vector<std::string> words_;
  bool many_;
};

class Command {
 public:
  Command(CLI::App& parser, std::string name, std::string summary, std::string section);

  /// The heading of the options that follow.
  void group(std::string title) { group_ = std::move(title); }
  /// `words` are the flag and the name of its value: "--rows N". Other spellings of the flag stand behind it:
  /// "--out,-o FILE".
  Option& option(const std::string& words, std::string& target, const std::string& help);
  Option& option(const std::string& words, std::vector<std::string>& target, const std::string& help);
  Option& option(const std::string& words, Index& target, const std::string& help);
  Option& option(const std::string& words, int& target, const std::string& help);
  Option& option(const std::string& words, std::uint64_t& target, const std::string& help);
  Option& option(const std::string& words, double& target, const std::string& help);
  Option& flag(const std::string& flag, bool& target, const std::string& help);
  /// A word without a flag: `hso optimizers NAME`.
  Option& word(const std::string& name, std::string& target, const std::string& help);
  /// One or more of them.
  Option& words(const std::string& name, std::vector<std::string>& target, const std::string& help);
  /// Called after parsing; returns the exit code.
  void runs(std::function<int()> work) { work_ = std::move(work); }

  bool given(const std::string& flag) const;
  const std::string& name() const { return name_; }
  const std::string& summary() const { return summary_; }
  const std::string& section() const { return section_; }
  const std::deque<Option>& options() const { return options_; }
  /// The same with those of a group together, groups in the order in which they begin, kFiles last.
  std::vector<const Option*> in_groups() const;
  int run() const { return work_(); }

 private:
  template <class T>
  Option& add(const std::string& words, T& target, const std::string& help);

  CLI::App& parser_;
  std::string name_, summary_, section_, group_ = "options";
  std::deque<Option> options_;  // what option() returns stays where it is
  std::function<int()> work_;
};

class CommandLine {
 public:
  CommandLine(std::string program, std::string version, std::string summary);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Commands of one section stand together in the help.
  Command& add(const std::string& name, const std::string& summary, const std::string& section);
  /// What stands below the commands in the help.
  void footer(std::string text) { footer_ = std::move(text); }

  /// Parses, and runs the command that is named. Help goes to stdout. What the parser refuses goes to stderr with the
  /// word that may have been meant, and gives ErrorKind::usage.
  int run(int argc, const char* const* argv);

  const std::string& program() const { return program_; }
  const std::string& version() const { return version_; }
  const std::string& summary() const { return summary_; }
  const std::string& footer() const { return footer_; }
  const std::deque<Command>& commands() const { return commands_; }

 private:
  std::string program_, version_, summary_, footer_;
  std::unique_ptr<CLI::App> parser_;
  std::deque<Command> commands_;
};

/// The screens of `hso --help` and `hso COMMAND --help`, at most 100 columns wide.
std::string help_screen(const CommandLine& line);
std::string help_screen(const CommandLine& line, const Command& command);

}  // namespace hso::cli
