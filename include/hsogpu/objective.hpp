// SPDX-License-Identifier: Apache-2.0
//
// Functions with gradient and curvature: what optimizers see.
//
//   objective/objective                 the interface; curvature from differences
//   objective/function_objective        a user's function
//   objective/graph_objective           an expression written as a graph
//   objective/network_objective         a network on data
//   objective/kronecker                 Kronecker factors of its curvature (K-FAC, EKFAC)
//   objective/kronecker_preconditioner  the same for log-determinants
//   objective/mask                      which parameters are there
//   objective/adapters                  objectives around objectives: masks, penalties, curvature batches
//   objective/check                     are these derivatives right?
#pragma once

#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/objective/check.hpp"
#include "hsogpu/objective/function_objective.hpp"
#include "hsogpu/objective/graph_objective.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "hsogpu/objective/kronecker_preconditioner.hpp"
#include "hsogpu/objective/mask.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/objective/objective.hpp"
