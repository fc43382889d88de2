// SPDX-License-Identifier: Apache-2.0
//
// What a program outside the project does with the library. Exit code 0 when all of it worked.
#include <cstdio>
#include <hsogpu/context.hpp>
#include <hsogpu/data.hpp>
#include <hsogpu/version.hpp>

int main() {
  const auto context = hso::Context::create("cpu");
  const hso::Dataset digits = hso::digits();
  std::printf("hsogpu %s on %s: %lld digits\n", HSOGPU_VERSION, context->name().c_str(),
              static_cast<long long>(digits.size));
  return digits.size == 1797 ? 0 : 1;
}
