// SPDX-License-Identifier: Apache-2.0
//
// Kernels of OpenBLAS that fit this machine's processor, for programs.
#pragma once

namespace hso::detail {

/// OpenBLAS chooses its kernels when it is loaded, from a table of processor models. A model that is newer than the
/// table gets those of an SSE3 processor ("Prescott"), although it has AVX2 or AVX-512. Then this starts the program
/// again with OPENBLAS_CORETYPE set to what the processor can do, which is the only way to choose once OpenBLAS is
/// loaded. Returns where nothing has to be done: another core type, the variable set by the user (also to nothing),
/// another kind of processor, or a failing exec. The first thing that a `main` does.
void use_kernels_of_this_processor(char** argv);

}  // namespace hso::detail
