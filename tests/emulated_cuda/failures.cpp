// SPDX-License-Identifier: Apache-2.0
//
// Calls that fail because a test asked for it, and the last error of the runtime.
#include <cstdlib>
#include <map>
#include <string_view>

#include "device.hpp"

namespace hso::emulated {

namespace {

struct Plan {
  Site site = Site::any;
  std::int64_t left = 0;  ///< calls until the one that fails; 0: none does
  bool happened = false, lost = false;
};

Plan from_environment() {
  const char* word = std::getenv("HSO_EMULATED_FAIL");
  if (word == nullptr) return {};
  const std::string_view text(word);
  const std::size_t colon = text.find(':');
  static const std::map<std::string_view, Site> sites{
      {"any", Site::any},   {"allocation", Site::allocation}, {"launch", Site::launch}, {"library", Site::library},
      {"copy", Site::copy}, {"graph", Site::graph},           {"wait", Site::wait},     {"lost", Site::lost}};
  const auto found = sites.find(text.substr(0, colon));
  const long nth = colon == std::string_view::npos ? 0 : std::atol(word + colon + 1);
  if (found == sites.end() || nth < 1)
    violation("HSO_EMULATED_FAIL: expected SITE:N, found '" + std::string(text) + "'");
  return {found->second, nth, false, false};
}

Plan& plan() {
  static Plan instance = from_environment();
  return instance;
}

cudaError_t error_of(Site site) {
  return site == Site::allocation ? cudaErrorMemoryAllocation : cudaErrorLaunchFailure;
}

thread_local cudaError_t last = cudaSuccess;

}  // namespace

cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

cudaError_t lost() { return plan().lost ? report(cudaErrorLaunchFailure) : cudaSuccess; }

cudaError_t enter(Site site) {
  Plan& p = plan();
  if (p.lost) return lost();
  const bool counts = p.left > 0 && (p.site == site || p.site == Site::any || p.site == Site::lost);
  if (!counts || --p.left > 0) return cudaSuccess;
  p.happened = true;
  p.lost = p.site == Site::lost;
  return report(error_of(p.lost ? Site::wait : site));
}

void fail(Site site, std::int64_t nth) { plan() = {site, nth, false, false}; }

bool has_failed() { return plan().happened; }

void recover() {
  plan() = {};
  last = cudaSuccess;
}

}  // namespace hso::emulated

using namespace hso::emulated;

// An error that stays is reported each time; others once.
extern "C" cudaError_t cudaGetLastError() {
  const cudaError_t error = last;
  last = lost() != cudaSuccess ? lost() : cudaSuccess;
  return error;
}
