// SPDX-License-Identifier: Apache-2.0
//
// bench/results/ledger.json says what steps and products cost: this holds it to that. Whoever changes a count on
// purpose writes the file anew (bench/README.md).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "rows.hpp"

namespace hso::ledger {
namespace {

nlohmann::json committed_row(const Row& row) {
  std::ifstream file(std::string(HSO_SOURCE_DIR) + "/bench/results/ledger.json");
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const auto& found : all.at("rows"))
    if (found.at("work") == row.work && found.at("network") == row.network) return found;
  return {};
}

TEST(EmulatedLedger, ProductsCostWhatIsWritten) {
  for (const Row& row : product_rows(cases().front())) {
    SCOPED_TRACE(row.work);
    const nlohmann::json written = committed_row(row);
    ASSERT_FALSE(written.is_null());
    EXPECT_EQ(row.launches, written.at("launches"));
    EXPECT_EQ(row.library_calls, written.at("library_calls"));
    EXPECT_EQ(row.graph_launches, written.at("graph_launches"));
    EXPECT_EQ(row.graph_nodes, written.at("graph_nodes"));
    EXPECT_EQ(row.copies, written.at("copies"));
    EXPECT_EQ(row.waits, written.at("waits"));
    EXPECT_EQ(row.kernel_bytes, written.at("kernel_bytes"));
    EXPECT_EQ(row.flops, written.at("flops"));
  }
}

}  // namespace
}  // namespace hso::ledger
