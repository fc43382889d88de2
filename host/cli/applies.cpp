// SPDX-License-Identifier: Apache-2.0
#include "cli/applies.hpp"

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"

namespace hso::cli {

void require_applicable(const Command& command, std::initializer_list<Applies> options) {
  for (const auto& [flag, applies, expected] : options)
    if (!applies && command.given(flag))
      throw UsageError(fmt::format("{}: does nothing here, expected it with {}", flag, expected));
}

}  // namespace hso::cli
