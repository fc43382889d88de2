// SPDX-License-Identifier: Apache-2.0
//
//   hso_coverage [SEEDS [FILE.json]]
//
// How often the 99 % intervals of traces, log-determinants, counts and densities hold the true value: seeds 0, 1, ...
// of every estimator on matrices of known spectra and on those of a trained network, in float64 and float32. One core.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "hsogpu/core/context.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "support/coverage_cases.hpp"

namespace {

using namespace hso;
using Json = nlohmann::ordered_json;

constexpr Index kOrder = 200, kHidden = 3, kTrainingSteps = 8;

struct Row {
  std::string name;
  int intervals = 0, covered = 0, unbounded = 0;
  double width = 0, errors = 0;  ///< sums of half widths and of |value - truth|
};

template <class T>
std::vector<Row> rows_of(Context& context, const test::CoverageCase& c, const test::CoverageSizes& sizes, int seeds) {
  const Buffer<T> matrix(context, std::vector<T>(c.matrix.begin(), c.matrix.end()));
  MatrixOperator<T> a(context, c.n, matrix.data());
  std::vector<Row> rows;
  for (int seed = 0; seed < seeds; ++seed)
    for (const test::Observation& o : test::observe<T>(a, c, sizes, static_cast<std::uint64_t>(seed))) {
      auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.name == o.name; });
      if (row == rows.end()) row = rows.insert(rows.end(), Row{o.name});
      ++row->intervals;
      row->covered += o.covers();
      row->unbounded += !o.estimate.quadrature_bounded;
      row->width += 0.5 * (o.estimate.high - o.estimate.low);
      row->errors += std::abs(o.estimate.value - o.truth);
    }
  return rows;
}

void run(int seeds, const char* file) {
  const auto context = Context::create("cpu");
  const test::CoverageSizes sizes;
  std::vector<test::CoverageCase> cases = test::coverage_cases(kOrder);
  for (test::CoverageCase& c : test::trained_network_cases(kHidden, kTrainingSteps)) cases.push_back(std::move(c));
  Json out{{"what", "coverage of 99 % intervals"},
           {"command", fmt::format("OMP_NUM_THREADS=1 build/quickstart/bench/hso_coverage {} FILE.json", seeds)},
           {"commit", HSO_BENCH_COMMIT},
           {"device", context->name()},
           {"seeds", seeds},
           {"probes", sizes.probes},
           {"steps", sizes.steps},
           {"rows", Json::array()}};
  double least = 1;
  const auto take = [&](const test::CoverageCase& c, const char* precision, const std::vector<Row>& rows) {
    for (const Row& r : rows) {
      const double coverage = static_cast<double>(r.covered) / r.intervals;
      least = std::min(least, coverage);
      fmt::print("{:44} {:8} {:48} {:6.1f} %  half width {:.3g}, error {:.3g}\n", c.name, precision, r.name,
                 100 * coverage, r.width / r.intervals, r.errors / r.intervals);
      out["rows"].push_back({{"spectrum", c.name},
                             {"n", c.n},
                             {"precision", precision},
                             {"estimate", r.name},
                             {"intervals", r.intervals},
                             {"coverage", coverage},
                             {"quadrature_not_bounded", r.unbounded},
                             {"mean_half_width", r.width / r.intervals},
                             {"mean_error", r.errors / r.intervals}});
    }
    std::fflush(stdout);
  };
  for (const test::CoverageCase& c : cases) {
    take(c, "float64", rows_of<double>(*context, c, sizes, seeds));
    take(c, "float32", rows_of<float>(*context, c, sizes, seeds));
  }
  out["least_coverage"] = least;
  fmt::print("least coverage: {:.1f} %\n", 100 * least);
  if (file != nullptr) std::ofstream(file) << out.dump(1) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? std::atoi(argv[1]) : 200, argc > 2 ? argv[2] : nullptr);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hso_coverage: %s\n", error.what());
    return 1;
  }
}
