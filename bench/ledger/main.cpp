// SPDX-License-Identifier: Apache-2.0
//
//   hso_ledger [FILE.json [NETWORK ...]]
//
// Prints what each step, product and iteration asks of a GPU, and writes it as JSON: on the networks of rows.hpp, or on
// those of them that are named. Runs on any machine.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "estimate.hpp"
#include "rows.hpp"

namespace {

using namespace hso::ledger;
using Json = nlohmann::ordered_json;

Json to_json(const Row& r) {
  Json estimates;
  for (const Device& d : devices()) estimates[d.name] = 1e6 * estimated_seconds(r, d);
  return {{"work", r.work},
          {"network", r.network},
          {"batch", r.batch},
          {"launches", r.launches},
          {"library_calls", r.library_calls},
          {"graph_launches", r.graph_launches},
          {"graph_nodes", r.graph_nodes},
          {"copies", r.copies},
          {"copied_bytes", r.copied_bytes},
          {"waits", r.waits},
          {"kernel_bytes", r.kernel_bytes},
          {"library_bytes", r.library_bytes},
          {"flops", r.flops},
          {"estimated_microseconds", estimates}};
}

void print(const std::vector<Row>& rows) {
  for (const Row& r : rows)
    fmt::print("{:32} {:32} {:8.2f} {:8.2f} {:7.2f} {:8.2f} {:7.2f} {:7.2f} {:10.3g} {:10.3g}\n", r.network, r.work,
               r.launches, r.library_calls, r.graph_launches, r.graph_nodes, r.copies, r.waits, r.kernel_bytes,
               r.flops);
  std::fflush(stdout);
}

void run(const char* file, const std::vector<std::string>& networks) {
  fmt::print("{:32} {:32} {:>8} {:>8} {:>7} {:>8} {:>7} {:>7} {:>10} {:>10}\n", "network", "work", "launches",
             "library", "graphs", "nodes", "copies", "waits", "bytes", "flops");
  std::vector<Row> all;
  const auto add = [&](const std::vector<Row>& rows) {
    print(rows);
    all.insert(all.end(), rows.begin(), rows.end());
  };
  for (const Case& c : cases()) {
    if (!networks.empty() && std::ranges::find(networks, c.network) == networks.end()) continue;
    add(product_rows(c));
    add(step_rows(c));
  }
  add(dense_rows());
  if (file == nullptr) return;
  const LaunchCosts costs;
  Json out{{"device", "emulated: counts are exact, times are estimates"},
           {"commit", HSO_BENCH_COMMIT},
           {"assumed_microseconds",
            {{"launch", 1e6 * costs.launch},
             {"graph_launch", 1e6 * costs.graph_launch},
             {"copy", 1e6 * costs.copy},
             {"wait", 1e6 * costs.wait},
             {"node", 1e6 * costs.node}}},
           {"rows", Json::array()}};
  for (const Row& r : all) out["rows"].push_back(to_json(r));
  std::ofstream(file) << out.dump(1) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : nullptr, {argv + std::min(argc, 2), argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hso_ledger: %s\n", error.what());
    return 1;
  }
}
