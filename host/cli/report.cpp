// SPDX-License-Identifier: Apache-2.0
//
// hso report: runs as one page, or for TensorBoard.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "cli/outputs.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/shown_text.hpp"
#include "report/page.hpp"
#include "report/tensorboard.hpp"

namespace hso::cli {
namespace {

class ReportCommand {
 public:
  explicit ReportCommand(Command& command) {
    command.words("RUN", runs_, "run directories of hso train or hso prune, side by side");
    command.group(kFiles);
    command.option("--out,-o FILE.html", out_, "where the page goes, which needs no other file; -o for short");
    command.option("--tensorboard DIR", tensorboard_, "write event files for TensorBoard, in a folder for each run");
    command.flag("--quiet", quiet_, "print nothing but errors");
  }

  int run() const {
    if (runs_.empty()) throw UsageError("report: expected one or more run directories");
    if (out_.empty() && tensorboard_.empty())
      throw UsageError("report: expected --out FILE.html or --tensorboard DIR, where the report goes");
    std::vector<NamedPath> inputs;
    for (const std::string& path : runs_)
      for (const std::string& file : report::files_of_run(path)) inputs.push_back({"RUN", file});
    require_outputs({{"--out", out_}}, inputs);
    const std::vector<RunLog> runs = report::read_runs(runs_);
    for (const RunLog& run : runs)
      for (const std::string& note : run.notes) say(fmt::format("note: {}: {}", shown(run.path), shown(note)));
    if (!out_.empty()) {
      const std::string page = report::page(runs);
      write_text_atomically(out_, page);
      say(fmt::format("report {} ({} kB)", out_, (page.size() + 999) / 1000));
    }
    if (!tensorboard_.empty())
      for (const std::string& path : report::write_tensorboard(runs, tensorboard_)) say("events " + path);
    return 0;
  }

 private:
  using RunLog = report::RunLog;

  void say(const std::string& line) const {
    if (!quiet_) fmt::print(stderr, "{}\n", line);
  }

  std::vector<std::string> runs_;
  std::string out_, tensorboard_;
  bool quiet_ = false;
};

}  // namespace

void add_report(CommandLine& line) {
  Command& command = line.add("report", "runs side by side as one HTML page, or for TensorBoard", kTrainSection);
  command.runs([report = std::make_shared<ReportCommand>(command)] { return report->run(); });
}

}  // namespace hso::cli
