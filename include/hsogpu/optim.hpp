// SPDX-License-Identifier: Apache-2.0
//
// Optimizers: make_optimizer("hso.kfac", {...}), or the maker of a method with its options.
//
//   optim/optimizer       the interface, and the table of all methods
//   optim/hso             HVP-corrected gradients and the epsilon-modified inverse in every form
//   optim/first_order     sgd, momentum, adam and others that use the gradient alone
//   optim/quasi_newton    lbfgs, sr1, newton_cg
//   optim/preconditioned  kfac, ekfac, shampoo, soap, sophia, adahessian, muon
//   optim/wrappers        schedules, clipping, decay, masks around any method
//   optim/step_queue      steps that nobody waits for
//   optim/minimize        a minimum of a function, with a reason to stop
#pragma once

#include "hsogpu/optim/first_order.hpp"
#include "hsogpu/optim/hso.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "hsogpu/optim/quasi_newton.hpp"
#include "hsogpu/optim/step_queue.hpp"
#include "hsogpu/optim/wrappers.hpp"
