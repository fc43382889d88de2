// SPDX-License-Identifier: Apache-2.0
//
// The threads of a block as fibers on one thread of the host.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace hso::emulated {

/// Runs the threads of one block in this order, each up to its next barrier, round after round. Violation when some
/// threads end or wait at another line while others wait.
void run_fibers(const std::vector<unsigned>& order, const std::string& kernel,
                const std::function<void(unsigned thread)>& run);

/// Barriers that the block has passed.
unsigned barriers_passed();
/// Whether the threads of a block are running as fibers.
bool barriers_running();

}  // namespace hso::emulated
