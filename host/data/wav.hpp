// SPDX-License-Identifier: Apache-2.0
//
// Sound files: RIFF WAVE with 8, 16, 24 or 32 bit integers or 32 bit floats.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

struct Sound {
  Index rate = 0;                 ///< samples a second
  std::vector<double> samples{};  ///< in [-1, 1]; the mean of the channels
};

/// InputError names the file, what was found and what was expected.
Sound read_wav(const std::string& path);

}  // namespace hso
