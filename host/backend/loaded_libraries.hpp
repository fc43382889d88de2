// SPDX-License-Identifier: Apache-2.0
//
// list_libraries() for the record of a run: cuBLAS and cuSOLVER are in it when a CUDA context has loaded them, and are
// not loaded for it.
#pragma once

#include <string>
#include <vector>

namespace hso::detail {

std::vector<std::string> loaded_libraries();

}  // namespace hso::detail
