// SPDX-License-Identifier: Apache-2.0
#include "cli/exit_code.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <new>
#include <stdexcept>

#include "backend/host_memory.hpp"
#include "cli/signals.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "io/shown_text.hpp"

namespace hso::cli {
namespace {

constexpr int kUnexpected = 1, kInput = static_cast<int>(ErrorKind::input),
              kMemory = static_cast<int>(ErrorKind::memory);

std::string out_of_memory(const std::string& command) {
  const DeviceMemory memory = detail::host_memory();
  return fmt::format("{}: the host's memory does not hold the data, or a network of this size: {:.0f} MB are free",
                     command, static_cast<double>(memory.free_bytes) / 1e6);
}

int fail(const std::string& message, int code) {
  fmt::print(stderr, "hso: {}\n", shown_message(message));
  return code;
}

}  // namespace

int exit_code_of(const std::string& command, const std::function<int()>& work) {
  try {
    return work();
  } catch (const Error& e) {
    return fail(e.what(), static_cast<int>(e.kind()));
  } catch (const Interrupted&) {
    return 128 + SignalWatch::caught();
  } catch (const std::filesystem::filesystem_error& e) {
    const bool full = e.code() == std::errc::no_space_on_device;
    return fail(fmt::format("{}: {}", e.path1().string(), e.code().message()), full ? kMemory : kInput);
  } catch (const std::bad_alloc&) {
    return fail(out_of_memory(command), kMemory);
  } catch (const std::length_error&) {
    return fail(out_of_memory(command), kMemory);
  } catch (const std::exception& e) {
    return fail(fmt::format("unexpected: {}", e.what()), kUnexpected);
  }
}

}  // namespace hso::cli
