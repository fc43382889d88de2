// SPDX-License-Identifier: Apache-2.0
//
//   HSO_BENCH_DEVICE=cuda:0 hso_bench --benchmark_filter=ggn --benchmark_out=ggn.json
//
// Device, libraries with their core type, and commit stand in the "context" of the JSON. HSO_BENCH_ROUNDS and
// HSO_BENCH_BUDGET (seconds for each benchmark) bound the sampling.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>

#include "backend/loaded_libraries.hpp"
#include "backend/processor_kernels.hpp"
#include "fixture.hpp"
#include "registry.hpp"
#include "sampler.hpp"

namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("device", hso::bench::device().name());
  benchmark::AddCustomContext("device_description", hso::bench::device().description());
  benchmark::AddCustomContext("libraries", joined(hso::detail::loaded_libraries()));
  benchmark::AddCustomContext("clock", hso::bench::counts_processor_time() ? "processor time" : "wall");
  benchmark::AddCustomContext("commit", HSO_BENCH_COMMIT);
  hso::bench::register_products();
  hso::bench::register_dense();
  hso::bench::register_spectral();
  hso::bench::register_optimizers();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  hso::detail::use_kernels_of_this_processor(argv);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hso_bench: %s\n", error.what());
    return 1;
  }
}
