// SPDX-License-Identifier: Apache-2.0
//
// What one more unit of work costs: the ledger of the emulated device after many units less that after few.
#pragma once

#include <functional>

#include "emulated.hpp"
#include "rows.hpp"

namespace hso::ledger {

/// A row of work(many) - work(few) over many - few; `work` does that many units, and waits for them at the end once. It
/// has run before where it keeps what it records.
inline Row count(Row row, Index few, Index many, const std::function<void(Index units)>& work) {
  const auto run = [&](Index units) {
    emulated::reset_ledger();
    emulated::set_tracing(true);
    work(units);
    emulated::set_tracing(false);
    return emulated::ledger();
  };
  const emulated::Ledger a = run(few), b = run(many);
  const auto each = [&](auto field) {
    return (static_cast<double>(b.*field) - static_cast<double>(a.*field)) / static_cast<double>(many - few);
  };
  row.launches = each(&emulated::Ledger::launches);
  row.library_calls = each(&emulated::Ledger::library_calls);
  row.graph_launches = each(&emulated::Ledger::graph_launches);
  row.graph_nodes = each(&emulated::Ledger::graph_nodes);
  row.copies = each(&emulated::Ledger::copies);
  row.copied_bytes = each(&emulated::Ledger::copied_bytes);
  row.waits = each(&emulated::Ledger::waits);
  row.kernel_bytes = each(&emulated::Ledger::kernel_bytes);
  row.library_bytes = each(&emulated::Ledger::library_bytes);
  row.flops = each(&emulated::Ledger::flops);
  return row;
}

}  // namespace hso::ledger
