// SPDX-License-Identifier: Apache-2.0
#include "cli/memory_flags.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "backend/process_memory.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::cli {
namespace {

double megabytes(Index bytes) { return static_cast<double>(bytes) / 1e6; }

bool is_cpu(const MemoryPlan& plan) { return plan.device == "cpu"; }

std::string memory_text(const MemoryPlan& plan) {
  const double free = megabytes(plan.free_bytes);
  if (is_cpu(plan))
    return fmt::format("about {:.1f} MB of memory, {:.1f} MB are free", megabytes(plan.host_bytes), free);
  return fmt::format("about {:.1f} MB on {}, {:.1f} MB are free there; {:.1f} MB of host memory",
                     megabytes(plan.device_bytes), plan.device, free, megabytes(plan.host_bytes));
}

}  // namespace

MemoryFlags::MemoryFlags(Command& command) {
  command.group(kFiles);
  command
      .option("--memory BYTES", limit_,
              "what the command may take, as 2GB: of a GPU's memory, or of this machine's where the device is the CPU; "
              "choices follow it, and what needs more is refused [what is free]")
      .bytes();
  command.flag("--plan", plan_only_, "print what it would take, and stop");
}

void MemoryFlags::start() const { detail::limit_memory(static_cast<Index>(limit_)); }

bool MemoryFlags::stops_after(const MemoryPlan& plan, const std::string& what, const std::string& rest,
                              bool quiet) const {
  if (!quiet || plan_only_) fmt::print(stderr, "{}: {}{}\n", what, memory_text(plan), rest);
  const Index needed = is_cpu(plan) ? plan.host_bytes : plan.device_bytes, limit = static_cast<Index>(limit_);
  if (limit > 0 && needed > limit)
    throw MemoryError(
        fmt::format("--memory: {} bytes are allowed, and about {} are needed on {}; --memory {}MB would do", limit,
                    needed, plan.device, static_cast<Index>(std::ceil(megabytes(needed)))));
  return plan_only_;
}

}  // namespace hso::cli
