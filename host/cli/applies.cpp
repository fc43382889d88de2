// SPDX-License-Identifier: Apache-2.0
#include "cli/applies.hpp"

#include <fmt/format.h>

#include "hsogpu/error.hpp"

namespace hso::cli {

void require_applicable(const CLI::App& command, std::initializer_list<Applies> options) {
  for (const auto& [flag, applies, expected] : options)
    if (!applies && command.get_option(flag)->count() > 0)
      throw UsageError(fmt::format("{}: does nothing here, expected it with {}", flag, expected));
}

}  // namespace hso::cli
