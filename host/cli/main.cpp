// SPDX-License-Identifier: Apache-2.0
#include "backend/processor_kernels.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  hso::detail::use_kernels_of_this_processor(argv);
  return hso::cli::run(argc, argv);
}
