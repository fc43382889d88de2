// SPDX-License-Identifier: Apache-2.0
//
// Pruning: what to remove, what it costs, and the smaller network.
//
//   prune/removal    one stage: the scores, single weights and units
//   prune/surgeon    Optimal Brain Surgeon on given matrices
//   prune/structure  units of a model, multiply-adds, shrinking
//   prune/prune      stages, fine-tuning and files
//   prune/compare    scores side by side
#pragma once

#include "hsogpu/prune/compare.hpp"
#include "hsogpu/prune/prune.hpp"
#include "hsogpu/prune/removal.hpp"
#include "hsogpu/prune/structure.hpp"
#include "hsogpu/prune/surgeon.hpp"
