// SPDX-License-Identifier: Apache-2.0
#include "support/contexts.hpp"

namespace hso::test {

std::vector<std::string> contexts() { return {"cpu"}; }

}  // namespace hso::test
