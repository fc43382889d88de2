// SPDX-License-Identifier: Apache-2.0
//
// hso check: are the derivatives of this model on this data right? Exit code 5 when something fails.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/commands.hpp"
#include "cli/derivatives.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/check.hpp"
#include "io/shown_text.hpp"

namespace hso::cli {
namespace {

class CheckCommand {
 public:
  explicit CheckCommand(Command& command) : problem_(command) {
    command.group("check");
    command.option("--rows N", rows_, fmt::format("rows of the data to use, from the first; 0: all [{}]", rows_))
        .whole_number(0);
    command.option("--directions N", directions_, fmt::format("random directions [{}]", directions_)).whole_number(1);
    command.group(kFiles);
    command.flag("--json", json_, "the report as JSON on stdout");
  }

  int run() const {
    const Problem p = problem_.load();
    require_finite(p.theta, p.theta_source);
    const Dataset data = first_rows(p.data);
    NetworkCheckOptions options;
    options.check.seed = p.options.seed;
    options.check.directions = directions_;
    options.device = p.options.device;
    options.weight_decay = p.options.weight_decay;
    options.training = p.training;
    fmt::print(stderr, "{}: {} rows of {}, {}, float64, theta from {}{}\n", shown(p.model.name), data.size,
               p.options.data, name_of(p.options.loss), p.theta_source, p.training ? ", as in training" : "");
    const CheckReport report = check_network(p.model, p.options.loss, data, p.theta, options);
    fmt::print(stderr, "{}", report.table());
    if (json_) {
      auto json = nlohmann::ordered_json::parse(report.json());
      json["data"] = nlohmann::ordered_json::parse(p.description.json());
      fmt::print("{}\n", json.dump(2));
    }
    return report.passed() ? 0 : static_cast<int>(ErrorKind::numerical);
  }

 private:
  Dataset first_rows(const Dataset& data) const {
    if (rows_ == 0 || rows_ >= data.size) return data;
    std::vector<Index> rows(static_cast<std::size_t>(rows_));
    std::iota(rows.begin(), rows.end(), Index{0});
    return data.subset(rows);
  }

  ProblemOptions problem_;
  Index rows_ = 256;
  int directions_ = 4;
  bool json_ = false;
};

}  // namespace

void add_check(CommandLine& line) {
  Command& command =
      line.add("check", "gradient and curvature of a model on data against differences", kCurvatureSection);
  command.runs([check = std::make_shared<CheckCommand>(command)] { return check->run(); });
}

}  // namespace hso::cli
