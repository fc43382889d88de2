// SPDX-License-Identifier: Apache-2.0
//
// Wrappers: optimizers around optimizers. The inner method steps on a copy of theta; the displacement d = theta' -
// theta is changed (momentum, Adam's scaling, decay, a bound, a schedule) and then applied.
//
//   auto optimizer = make_wrapped<float>(make_optimizer<float>("hvp"), {"adam:0.003", "warmup:100", "cosine:2000"});
//
// Wrappers are applied inside out: here Adam's scaling of the HVP-corrected direction, then the two schedules. They are
//
//   momentum      heavy ball over displacements: v = MOMENTUM v + d, d := v (Polyak 1964). sgd under it is `momentum`
//   adam          -d takes the place of the gradient in Adam (Kingma and Ba 2015, algorithm 1): give the inner method
//                 any rate, Adam's is an argument. sgd with rate 1 under it is `adam`
//   weight_decay  decoupled: d -= DECAY theta (Loshchilov and Hutter 2019, algorithm 2; their lambda)
//   clip          |d| at most NORM
//   clip_gradient the inner method sees gradients of norm at most NORM (Pascanu, Mikolov and Bengio, ICML 2013,
//                 algorithm 1), and the true loss and curvature; the report's gradient norm is the true one
//   warmup        d times min(1, t / STEPS) in step t = 1, 2, ...
//   step          d times FACTOR^floor((t - 1) / EVERY)
//   exponential   d times FACTOR^(t - 1)
//   cosine        d times FLOOR + (1 - FLOOR) (1 + cos(pi (t - 1) / STEPS)) / 2, FLOOR after STEPS steps
//                 (Loshchilov and Hutter, ICLR 2017, equation 5, without restarts)
//   linear        d times 1 + (END - 1) (t - 1) / STEPS, END after STEPS steps
//   one_cycle     d times a factor that rises linearly from START to 1 in the first WARM of STEPS steps and falls along
//                 a cosine to END (Smith, arXiv:1708.07120; the rate alone, not the momentum)
//
// t counts accepted steps. A step that the inner method refuses is refused, and one whose outcome is not finite leaves
// every bit of theta; in both cases t and the wrapper's state stay (the inner method's own state has moved where it
// accepted). The report is the inner one; `loss_after` is `loss_before` where the displacement was changed, since the
// loss there was not evaluated, and `step_norm` is that of the applied displacement.
// A wrapper takes 2 n numbers, momentum one and adam two n more.
#pragma once

#include "hsogpu/objective/mask.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso {

struct WrapperInfo {
  std::string name, summary;
  std::vector<OptionInfo> arguments;  ///< in the order of the text; an empty default_value must be given
  std::string grammar() const;        ///< "cosine:STEPS[:FLOOR]"
};
/// In the order above.
const std::vector<WrapperInfo>& wrapper_table();

/// `optimizer` inside of `wrappers`, each "NAME[:VALUE[:VALUE...]]", the first one innermost. UsageError names an
/// unknown wrapper with a suggestion, a value that is missing or too many, and one that is out of range, or says that
/// the optimizer is null.
template <class T>
std::unique_ptr<Optimizer<T>> make_wrapped(std::unique_ptr<Optimizer<T>> optimizer,
                                           const std::vector<std::string>& wrappers);

/// `optimizer` on what the mask has left. Each step starts at P theta, and of an accepted one the removed entries,
/// displacement() included, are put back to +0: what K-FAC makes of the gradient, for one, is masked after its
/// preconditioning. A refused step leaves every bit of theta. The report is the inner one with the norm of the masked
/// step; its losses are those of a MaskedObjective where the step is taken on one. Takes 2 n numbers and n bytes.
/// InputError at the first step on an objective of another size, UsageError for a null optimizer; an empty mask gives
/// the optimizer back.
template <class T>
std::unique_ptr<Optimizer<T>> make_masked(std::unique_ptr<Optimizer<T>> optimizer, const Mask& mask);

}  // namespace hso
