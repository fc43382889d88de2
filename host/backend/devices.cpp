// SPDX-License-Identifier: Apache-2.0
//
// From the words of a user ("auto", "cpu", "cuda:1") to a context, and what `hso info` prints.
#include <fmt/format.h>

#include "backend/blas.hpp"
#include "backend/cpu_context.hpp"
#include "backend/cuda_factory.hpp"
#include "backend/loaded_libraries.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/version.hpp"
#include "io/text_parts.hpp"

namespace hso {

namespace {

/// N of "cuda:N", 0 for "cuda", -1 for other words.
int cuda_ordinal(std::string_view device) {
  constexpr std::string_view kPrefix = "cuda:";
  if (device == "cuda") return 0;
  if (!device.starts_with(kPrefix)) return -1;
  return number_in<int>(device.substr(kPrefix.size())).value_or(-1);
}

// `::new`: should a constructor throw, its memory goes back as it came, not through the context's own operator delete.
std::unique_ptr<Context> made_on_cpu(const ContextOptions& options) {
  return std::unique_ptr<Context>(::new detail::CpuContext(options));
}

std::vector<std::string> libraries(bool load) {
  std::vector<std::string> lines{fmt::format("libhsogpu {}", HSOGPU_VERSION),
                                 fmt::format("{}, core type {}", openblas_get_config(), openblas_get_corename())};
  for (const std::string& library : detail::cuda_libraries(load)) lines.push_back(library);
  return lines;
}

}  // namespace

std::unique_ptr<Context> Context::create(std::string_view device, const ContextOptions& options) {
  if (device == "cpu") return made_on_cpu(options);
  if (device == "auto") {
    const detail::CudaPresence cuda = detail::cuda_presence();
    if (cuda.devices.empty()) return made_on_cpu(options);
    return detail::create_cuda_context(cuda.first_usable, options);
  }
  const int ordinal = cuda_ordinal(device);
  if (ordinal < 0) throw UsageError(fmt::format("device '{}': expected auto, cpu, cuda or cuda:N", device));
  return detail::create_cuda_context(ordinal, options);
}

std::vector<std::string> list_devices() {
  std::vector<std::string> lines{fmt::format("cpu: {}", detail::cpu_description())};
  const detail::CudaPresence cuda = detail::cuda_presence();
  for (std::size_t i = 0; i < cuda.devices.size(); ++i) lines.push_back(fmt::format("cuda:{}: {}", i, cuda.devices[i]));
  if (cuda.devices.empty()) lines.push_back(fmt::format("cuda: none ({})", cuda.reason));
  return lines;
}

std::vector<std::string> list_libraries() { return libraries(true); }

std::vector<std::string> detail::loaded_libraries() { return libraries(false); }

}  // namespace hso
