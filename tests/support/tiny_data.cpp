// SPDX-License-Identifier: Apache-2.0
#include "support/tiny_data.hpp"

#include "hsogpu/detail/philox.hpp"

namespace hso::test {

std::string write_tiny_data(const TempDir& dir) {
  std::string text;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const double x = 2 * detail::uniform01(detail::philox_word(1, 0, 2 * i)) - 1;
    const double y = 2 * detail::uniform01(detail::philox_word(1, 0, 2 * i + 1)) - 1;
    text += std::to_string(x) + "," + std::to_string(y) + "," + (x * y > 0 ? "1" : "0") + "\n";
  }
  return dir.write("tiny.csv", text);
}

TrainOptions tiny_options(const TempDir& dir, const std::string& optimizer) {
  TrainOptions options;
  options.model = "mlp:2-4-2:tanh";
  options.data = write_tiny_data(dir);
  options.device = "cpu";
  options.precision = "float64";
  options.optimizer = optimizer;
  return options;
}

}  // namespace hso::test
