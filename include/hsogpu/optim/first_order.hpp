// SPDX-License-Identifier: Apache-2.0
//
// Methods that use the gradient alone. Options apart from state; every field is an option of that name.
// g is the gradient at theta, products and roots of vectors are by element, t = 1, 2, ... counts the steps.
#pragma once

#include "hsogpu/optim/optimizer.hpp"

namespace hso {

struct SgdOptions {
  double rate = 0.1;
};
/// momentum: heavy ball, Polyak 1964, in PyTorch's form: v = mu v + g, theta -= rate v.
/// nesterov: Nesterov's accelerated gradient as Sutskever, Martens, Dahl and Hinton (ICML 2013) write it, equations 3
/// and 4: v = mu v - rate g(theta + mu v), theta += v. In PyTorch's form, which keeps the point that the gradient is
/// taken at: v = mu v + g, theta -= rate (g + mu v). Departs from the paper: mu is constant.
struct MomentumOptions {
  double rate = 0.05;
  double momentum = 0.9;
};
/// RMSProp, Tieleman and Hinton, "Neural networks for machine learning", lecture 6.5 (2012), in PyTorch's form:
/// s = alpha s + (1 - alpha) g^2, b = momentum b + g / (sqrt(s) + epsilon), theta -= rate b; s starts at 0 and is not
/// corrected. `centered` (Graves, arXiv:1308.0850, equations 38 to 45) takes the variance s - m^2 for s, with
/// m = alpha m + (1 - alpha) g. Departs from PyTorch: rounding never makes the variance negative.
struct RmsPropOptions {
  double rate = 0.01;
  double alpha = 0.99;
  double epsilon = 1e-8;
  bool centered = false;
  double momentum = 0;
};
/// Duchi, Hazan and Singer, JMLR 12 (2011) 2121, the diagonal form of figure 1 without regulariser:
/// s = s + g^2, theta -= rate g / (sqrt(s) + epsilon). Departs from the paper: epsilon is smaller than its delta and
/// outside the sum, as in PyTorch.
struct AdagradOptions {
  double rate = 0.01;
  double epsilon = 1e-10;
};
/// Kingma and Ba 2015, algorithm 1.
struct AdamOptions {
  double rate = 0.003;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};
/// Adam with decoupled weight decay, Loshchilov and Hutter (ICLR 2019), algorithm 2, line 12: theta is also shrunk by
/// rate * weight_decay. In PyTorch's form: the paper's lambda is rate * weight_decay here, its schedule multiplier 1
/// (schedules are wrappers, wrappers.hpp, and multiply both parts, as the paper's does).
struct AdamWOptions {
  double rate = 0.003;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.01;
};

template <class T>
std::unique_ptr<Optimizer<T>> make_sgd(const SgdOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_momentum(const MomentumOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_nesterov(const MomentumOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_rmsprop(const RmsPropOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_adagrad(const AdagradOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_adam(const AdamOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_adamw(const AdamWOptions& options);

}  // namespace hso
