// SPDX-License-Identifier: Apache-2.0
//
// The one table of test networks: every op, activation and loss, and every way of wiring them that went wrong once.
// All are small (n below 130), because the oracle differentiates them entry by entry.
#pragma once

#include <string>
#include <vector>

#include "support/net.hpp"
#include "support/reference_net.hpp"

namespace hso::test {

struct Case {
  std::string name;
  Net net;
  int batch = 3;
  std::uint64_t seed = 1;
  bool smooth = true;     ///< no kinks: differences converge
  bool training = false;  ///< dropout on, at training step kStep; the statistics of the batch
};
inline constexpr std::uint64_t kStep = 7;

const std::vector<Case>& cases();
const Case& case_named(const std::string& name);

/// theta, batch and weights 1/N of a case, every number exact in float. Masks are not filled in.
Problem problem_of(const Case& c);

/// n standard normal numbers, exact in float, the same on every platform.
Numbers random_numbers(std::size_t n, std::uint64_t seed);

// The parts of the table.
void add_dense_cases(std::vector<Case>& out);
void add_wiring_cases(std::vector<Case>& out);
void add_image_cases(std::vector<Case>& out);
void add_sequence_cases(std::vector<Case>& out);
void add_batch_norm_cases(std::vector<Case>& out);

}  // namespace hso::test
