// SPDX-License-Identifier: Apache-2.0
//
// One set of tests for every backend: a test that derives from OnDevice runs once for each name that the binary's
// contexts() returns (support/cpu_contexts.cpp, or the CUDA tests' own definition).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hsogpu/core/context.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::test {

/// Names for Context::create.
std::vector<std::string> contexts();

/// The shared context of that name, with poisoned scratch; made on first use. With HSO_TEST_EXACT_SCRATCH in the
/// environment every piece of scratch is an allocation of its own.
Context& context(const std::string& device);

class OnDevice : public testing::TestWithParam<std::string> {
 protected:
  Context& context() { return test::context(GetParam()); }
};

/// f.operator()<float>(), then <double>.
template <class F>
void for_types(const F& f) {
  {
    SCOPED_TRACE("float");
    f.template operator()<float>();
  }
  SCOPED_TRACE("double");
  f.template operator()<double>();
}

/// "cpu" or "cuda": the last part of a test's name.
inline std::string device_word(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find(':'));
}

/// n standard normal numbers, the same for the same seed.
template <class T>
std::vector<T> normal_numbers(Index n, std::uint64_t seed);

}  // namespace hso::test
