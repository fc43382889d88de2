// SPDX-License-Identifier: Apache-2.0
#include "cli/memory_flags.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "backend/host_memory.hpp"
#include "hsogpu/error.hpp"

namespace hso::cli {
namespace {

double megabytes(Index bytes) { return static_cast<double>(bytes) / 1e6; }

bool is_cpu(const MemoryPlan& plan) { return plan.device == "cpu"; }

}  // namespace

std::string memory_text(const MemoryPlan& plan) {
  const double reading = megabytes(plan.reading_bytes), free = megabytes(plan.free_bytes);
  if (is_cpu(plan))
    return fmt::format("about {:.1f} MB of memory at most ({:.1f} MB until the data were in place), {:.1f} MB are free",
                       megabytes(plan.host_bytes), reading, free);
  return fmt::format("about {:.1f} MB on {}, {:.1f} MB are free there; {:.1f} MB of host memory",
                     megabytes(plan.device_bytes), plan.device, free, megabytes(plan.host_bytes));
}

MemoryFlags::MemoryFlags(CLI::App& command) {
  command
      .add_option("--memory", limit_,
                  "bytes that the command may take, as 2GB: of a GPU's memory, or of this machine's where the device "
                  "is the CPU; choices follow it, and what needs more is refused [what is free]")
      ->transform(CLI::AsSizeValue(false));
  command.add_flag("--plan", plan_only_, "print what it would take, and stop");
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
