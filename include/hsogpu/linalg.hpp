// SPDX-License-Identifier: Apache-2.0
//
// Linear algebra on matrices that are dense or known by their products; nothing here knows networks.
//
//   linalg/linear_operator  the interface
//   linalg/operators        sums, shifts, restrictions, low rank
//   linalg/dense            eigendecompositions, inverses and solves of dense matrices
//   linalg/krylov_status    how an iteration ended
//   linalg/solvers          cg, minres and A^-1 as an operator
//   linalg/spectrum         Lanczos, stochastic quadrature, traces and their intervals
//   linalg/analysis         spectrum, rank, trace and log-determinant in one report
#pragma once

#include "hsogpu/linalg/analysis.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/krylov_status.hpp"
#include "hsogpu/linalg/linear_operator.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/linalg/spectrum.hpp"
