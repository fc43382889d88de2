// SPDX-License-Identifier: Apache-2.0
//
// Launches: the arguments are checked and queued; a grid runs block after block, thread after thread, in an order that
// no kernel may depend on. While checking, every launch runs twice, forward and backward, from the same memory.
#include <cuda_runtime.h>
#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>

#include "access.hpp"
#include "fibers.hpp"
#include "streams.hpp"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace hso::detail {
// What `extern __shared__` names in the kernels; reduce.cu declares it.
constexpr std::size_t kSharedBytes = std::size_t{48} << 10;
alignas(16) unsigned char shared_bytes[kSharedBytes + 256];
}  // namespace hso::detail

namespace hso::emulated {

namespace {

enum class Order { forward, backward, shuffled };

bool checking = std::getenv("HSO_EMULATED_CHECK") != nullptr, tracing = false;

/// 0 ... count - 1 in that order; shuffled: by a stride that has no divisor in common with count.
std::vector<unsigned> in_order(unsigned count, Order order) {
  std::vector<unsigned> all(count);
  std::iota(all.begin(), all.end(), 0u);
  if (order == Order::backward) std::ranges::reverse(all);
  if (order != Order::shuffled || count < 3) return all;
  unsigned stride = count / 2 + 1;
  while (std::gcd(stride, count) != 1) ++stride;
  for (unsigned i = 0; i < count; ++i) all[i] = static_cast<unsigned>(std::uint64_t{i} * stride % count);
  return all;
}

std::string readable(const char* mangled) {
  char* text = abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr);
  std::string name = text == nullptr ? mangled : text;
  std::free(text);
  for (const std::string noise : {"hso::detail::", "(anonymous namespace)::", "void "})
    for (std::size_t at = name.find(noise); at != std::string::npos; at = name.find(noise))
      name.erase(at, noise.size());
  return name;
}

struct Grid {
  cudaLaunchConfig_t config;
  Kernel kernel;
  std::string name;
};

void run_block(const Grid& grid, const std::vector<unsigned>& threads) {
  if (grid.config.dynamicSmemBytes == 0) {
    if (!is_tracking()) return grid.kernel.run(threads.data(), static_cast<unsigned>(threads.size()));
    for (unsigned t : threads) {
      set_place({blockIdx.x, t, 0});
      grid.kernel.run(&t, 1);
    }
    return;
  }
  forget_shared();
  std::memset(detail::shared_bytes, 0xFF, detail::kSharedBytes + 256);
  run_fibers(threads, grid.name, [&](unsigned t) { grid.kernel.run(&t, 1); });
  const unsigned char* end = detail::shared_bytes + grid.config.dynamicSmemBytes;
  if (!std::all_of(end, end + 256, [](unsigned char c) { return c == 0xFF; }))
    violation(grid.name + ": writes behind the shared memory of its block");
}

void run_grid(const Grid& grid, Order order) {
  gridDim = grid.config.gridDim;
  blockDim = grid.config.blockDim;
  const std::vector<unsigned> threads = in_order(blockDim.x, order);
  const unsigned blocks = gridDim.x;
  for (unsigned i = 0; i < blocks; ++i) {
    blockIdx.x = order == Order::backward ? blocks - 1 - i : i;
    run_block(grid, threads);
  }
}

/// Both orders from the same memory: what they leave must agree.
void run_checked(const Grid& grid) {
  start_tracking(grid.name);
  run_grid(grid, Order::forward);
  const std::vector<Change> first = undo_changes();
  run_grid(grid, Order::backward);
  const std::vector<Change> second = stop_tracking();
  if (first != second) violation(grid.name + ": the order of its threads changes its results");
}

void run(const Grid& grid) {
  ++book().names[grid.name];
  if (tracing) start_counting();
  checking ? run_checked(grid) : run_grid(grid, static_cast<Order>(choose(3)));
  if (tracing) stop_counting();
}

void require_fitting(const cudaLaunchConfig_t& c, const Kernel& kernel, const std::string& name) {
  if (c.gridDim.y != 1 || c.gridDim.z != 1 || c.blockDim.y != 1 || c.blockDim.z != 1)
    violation(name + ": the emulation runs one-dimensional grids alone");
  if (c.dynamicSmemBytes > detail::kSharedBytes)
    violation(fmt::format("{}: {} bytes of shared memory, every device has 48 KiB", name, c.dynamicSmemBytes));
  if (kernel.parameter_bytes > 4096)
    violation(fmt::format("{}: {} bytes of parameters, expected at most 4096", name, kernel.parameter_bytes));
}

}  // namespace

void set_checking(bool on) { checking = on; }
void set_tracing(bool on) { tracing = on; }

cudaError_t launch(const cudaLaunchConfig_t& config, Kernel kernel) {
  const std::lock_guard guard(lock());
  progress();
  if (const cudaError_t e = enter(Site::launch); e != cudaSuccess) return e;
  const Grid grid{config, std::move(kernel), {}};
  const std::string name = readable(grid.kernel.parameters.name());
  require_stream(config.stream, name.c_str());
  require_fitting(config, grid.kernel, name);
  if (config.gridDim.x < 1 || config.gridDim.x > INT32_MAX || config.blockDim.x < 1 || config.blockDim.x > 1024)
    return report(cudaErrorInvalidConfiguration);
  if (!is_capturing(config.stream)) ++book().launches;
  enqueue(config.stream, {Item::Kind::kernel, name, [grid, name] { run({grid.config, grid.kernel, name}); }});
  return cudaSuccess;
}

}  // namespace hso::emulated
