// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "io/shown_numbers.hpp"
#include "io/shown_text.hpp"

namespace hso::cli {
namespace {

constexpr auto kBetweenUpdates = std::chrono::milliseconds(100);
constexpr const char* kClearLine = "\r\x1b[K";

std::string number(double value) { return std::isnan(value) ? "-" : fmt::format("{:.6g}", value); }

/// "rejected: why", nothing for an accepted step.
std::string remark(const StepReport& report) {
  if (report.status == StepStatus::accepted) return report.message;
  return report.message.empty() ? name_of(report.status)
                                : fmt::format("{}: {}", name_of(report.status), report.message);
}

}  // namespace

void ProgressPrinter::clear_line() {
  if (line_open_) fmt::print(stderr, "{}", kClearLine);
  line_open_ = false;
}

void ProgressPrinter::step(Index step, const StepReport& report) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - last_ < kBetweenUpdates) return;
  last_ = now;
  line_open_ = true;
  fmt::print(stderr, "{}step {}  loss {:.6g}  |g| {:.3g}  |step| {:.3g}  {}", kClearLine, step,
             unsigned_nan(report.loss_after), unsigned_nan(report.gradient_norm), unsigned_nan(report.step_norm),
             name_of(report.status));
  std::fflush(stderr);
}

void ProgressPrinter::record(const TrainRecord& r) {
  clear_line();
  if (r.step == 0)
    fmt::print(stderr, "{:>7} {:>8} {:>13} {:>10} {:>13} {:>10} {:>9}\n", "step", "epoch", "train loss", "accuracy",
               "test loss", "accuracy", "seconds");
  fmt::print(stderr, "{:>7} {:>8.2f} {:>13} {:>10} {:>13} {:>10} {:>9.3f}", r.step, r.epoch, number(r.train.loss),
             percent(r.train.accuracy), number(r.test.loss), percent(r.test.accuracy), r.seconds);
  const std::string text = remark(r.report);
  fmt::print(stderr, "{}{}\n", text.empty() ? "" : "  ", text);
}

void ProgressPrinter::finish(const TrainResult& result) {
  clear_line();
  const TrainRecord& last = result.last;
  const auto row = [](const char* name, const std::string& value) { fmt::print(stderr, "{:<16}{}\n", name, value); };
  fmt::print(stderr, "\n");
  row("loss", number(last.train.loss));
  row("train accuracy", percent(last.train.accuracy));
  row("test accuracy", percent(last.test.accuracy));
  row("steps",
      fmt::format("{} accepted, {} trials; stopped by: {}", result.accepted_steps, result.trials, result.stop_reason));
  row("seconds", fmt::format("{:.2f} ({:.2f} in steps)", result.seconds, last.seconds));
  row("device", result.device);
  if (!result.run_directory.empty()) row("run", result.run_directory);
}

}  // namespace hso::cli
