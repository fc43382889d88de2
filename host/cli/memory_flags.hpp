// SPDX-License-Identifier: Apache-2.0
//
// --memory BYTES and --plan: what a command will take, said before it begins, and refused where that is too much.
//
//   memory.start();                                      before data are read
//   if (memory.stops_after(plan, "plan")) return;        when they are on the device
#pragma once

#include <string>

#include "cli/command.hpp"
#include "hsogpu/train/train.hpp"

namespace hso::cli {

/// Thrown by a hook to end a training or a pruning of which the plan alone was asked for.
struct PlanPrinted {};

class MemoryFlags {
 public:
  explicit MemoryFlags(Command& command);

  /// From now on no context finds more memory free than --memory allows.
  void start() const;
  /// Prints "`what`: ... memory ...`rest`" to stderr unless `quiet`. MemoryError for a plan beyond --memory, with what
  /// would do. True: --plan, the command ends here.
  bool stops_after(const MemoryPlan& plan, const std::string& what = "plan", const std::string& rest = "",
                   bool quiet = false) const;
  bool plan_only() const { return plan_only_; }

 private:
  std::uint64_t limit_ = 0;
  bool plan_only_ = false;
};

}  // namespace hso::cli
