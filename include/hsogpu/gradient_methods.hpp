// SPDX-License-Identifier: Apache-2.0
//
// Methods that use the gradient alone. Options apart from state; every field is an option of that name.
#pragma once

#include "hsogpu/optimizer.hpp"

namespace hso {

struct SgdOptions {
  double rate = 0.1;
};
/// Heavy ball, Polyak 1964, in PyTorch's form: v = mu v + g, theta -= rate v.
struct MomentumOptions {
  double rate = 0.05;
  double momentum = 0.9;
};
/// Kingma and Ba 2015, algorithm 1.
struct AdamOptions {
  double rate = 0.003;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};

template <class T>
std::unique_ptr<Optimizer<T>> make_sgd(const SgdOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_momentum(const MomentumOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_adam(const AdamOptions& options);

}  // namespace hso
