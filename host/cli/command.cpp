// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"

namespace hso::cli {
namespace {

/// Text that `accepts` takes as a number; CLI11 puts the flag before the message.
template <class Number, class Accepts>
CLI::Validator validator(const std::string& expected, const Accepts& accepts) {
  return CLI::Validator(
      [=](const std::string& text) {
        Number value = 0;
        const bool good = CLI::detail::lexical_cast(text, value) && accepts(value);
        return good ? std::string() : fmt::format("found '{}', expected {}", shown(text), expected);
      },
      "");
}

/// Long flags of the commands that were named, or the names of all commands when none was.
std::vector<std::string> known_words(const CommandLine& line, const CLI::App& parser) {
  std::vector<std::string> words;
  for (const Command& command : line.commands())
    if (parser.got_subcommand(command.name()))
      for (const Option& option : command.options()) words.push_back(option.flag());
  if (!words.empty()) return words;
  for (const Command& command : line.commands()) words.push_back(command.name());
  return words;
}

int report(const CommandLine& line, const CLI::App& parser, const CLI::ParseError& error) {
  std::ostringstream out, err;
  const int code = parser.exit(error, out, err);
  fmt::print(stdout, "{}", out.str());
  fmt::print(stderr, "{}", shown_message(err.str()));
  if (code == 0) return 0;
  for (const std::string& word : parser.remaining(true))
    if (const std::string hint = did_you_mean(word.substr(0, word.find('=')), known_words(line, parser)); !hint.empty())
      fmt::print(stderr, "{}{}\n", shown(word), hint);
  return static_cast<int>(ErrorKind::usage);
}

}  // namespace

Option& Option::required() {
  parsed_->required();
  return *this;
}

Option& Option::whole_number(Index least, Index most) {
  parsed_->check(validator<Index>(fmt::format("a whole number from {} to {}", least, most),
                                  [=](Index value) { return value >= least && value <= most; }));
  return *this;
}

Option& Option::from_zero() {
  parsed_->check(validator<double>("a finite number, at least 0",
                                   [](double value) { return std::isfinite(value) && value >= 0; }));
  return *this;
}

Option& Option::above_zero() {
  parsed_->check(
      validator<double>("a finite number above 0", [](double value) { return std::isfinite(value) && value > 0; }));
  return *this;
}

Option& Option::bytes() {
  parsed_->transform(CLI::AsSizeValue(false));
  return *this;
}

Option& Option::joined() {
  parsed_->delimiter(',')->multi_option_policy(CLI::MultiOptionPolicy::Join);
  return *this;
}

Option& Option::last_counts() {
  parsed_->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  return *this;
}

Option& Option::words(std::vector<std::string> words) {
  words_ = std::move(words);
  return *this;
}

bool Option::given() const { return parsed_->count() > 0; }

Command::Command(CLI::App& parser, std::string name, std::string summary, std::string section)
    : parser_(parser), name_(std::move(name)), summary_(std::move(summary)), section_(std::move(section)) {}

template <class T>
Option& Command::add(const std::string& words, T& target, const std::string& help) {
  const std::size_t space = words.find(' ');
  const std::string flag = words.substr(0, space), value = space < words.size() ? words.substr(space + 1) : "";
  return options_.emplace_back(parser_.add_option(flag, target), flag.substr(0, flag.find(',')), value, help, group_);
}

Option& Command::option(const std::string& w, std::string& t, const std::string& help) { return add(w, t, help); }
Option& Command::option(const std::string& w, std::vector<std::string>& t, const std::string& help) {
  return add(w, t, help);
}
Option& Command::option(const std::string& w, Index& t, const std::string& help) { return add(w, t, help); }
Option& Command::option(const std::string& w, int& t, const std::string& help) { return add(w, t, help); }
Option& Command::option(const std::string& w, std::uint64_t& t, const std::string& help) { return add(w, t, help); }
Option& Command::option(const std::string& w, double& t, const std::string& help) { return add(w, t, help); }

Option& Command::flag(const std::string& flag, bool& target, const std::string& help) {
  return options_.emplace_back(parser_.add_flag(flag, target), flag, "", help, group_);
}

Option& Command::word(const std::string& name, std::string& target, const std::string& help) {
  return options_.emplace_back(parser_.add_option(name, target), name, "", help, group_);
}

Option& Command::words(const std::string& name, std::vector<std::string>& target, const std::string& help) {
  return options_.emplace_back(parser_.add_option(name, target), name, "", help, group_, true);
}

std::vector<const Option*> Command::in_groups() const {
  std::vector<std::string> groups;
  std::vector<const Option*> out;
  for (const Option& option : options_)
    if (std::find(groups.begin(), groups.end(), option.group()) == groups.end()) groups.push_back(option.group());
  std::stable_partition(groups.begin(), groups.end(), [](const std::string& group) { return group != kFiles; });
  for (const std::string& group : groups)
    for (const Option& option : options_)
      if (option.group() == group) out.push_back(&option);
  return out;
}

bool Command::given(const std::string& flag) const { return parser_.get_option(flag)->count() > 0; }

CommandLine::CommandLine(std::string program, std::string version, std::string summary)
    : program_(std::move(program)),
      version_(std::move(version)),
      summary_(std::move(summary)),
      parser_(std::make_unique<CLI::App>(summary_, program_)) {
  parser_->set_version_flag("--version", program_ + " " + version_);
  parser_->require_subcommand(1);
  parser_->formatter(std::make_shared<CLI::FormatterLambda>(
      [this](const CLI::App*, std::string, CLI::AppFormatMode) { return help_screen(*this); }));
}

CommandLine::~CommandLine() = default;

Command& CommandLine::add(const std::string& name, const std::string& summary, const std::string& section) {
  CLI::App& parser = *parser_->add_subcommand(name, summary);
  Command& command = commands_.emplace_back(parser, name, summary, section);
  parser.formatter(std::make_shared<CLI::FormatterLambda>(
      [this, &command](const CLI::App*, std::string, CLI::AppFormatMode) { return help_screen(*this, command); }));
  return command;
}

int CommandLine::run(int argc, const char* const* argv) {
  try {
    parser_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report(*this, *parser_, error);
  }
  for (const Command& command : commands_)
    if (parser_->got_subcommand(command.name())) return command.run();
  return 0;
}

}  // namespace hso::cli
