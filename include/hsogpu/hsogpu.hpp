// SPDX-License-Identifier: Apache-2.0
//
// All of libhsogpu.
#pragma once

#include "hsogpu/analysis.hpp"
#include "hsogpu/check.hpp"
#include "hsogpu/compare.hpp"
#include "hsogpu/context.hpp"
#include "hsogpu/data.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/gradient_methods.hpp"
#include "hsogpu/graph.hpp"
#include "hsogpu/hso_methods.hpp"
#include "hsogpu/io.hpp"
#include "hsogpu/kronecker.hpp"
#include "hsogpu/linalg.hpp"
#include "hsogpu/model.hpp"
#include "hsogpu/network_objective.hpp"
#include "hsogpu/objective.hpp"
#include "hsogpu/operators.hpp"
#include "hsogpu/optimizer.hpp"
#include "hsogpu/solvers.hpp"
#include "hsogpu/spectrum.hpp"
#include "hsogpu/tape.hpp"
#include "hsogpu/train.hpp"
#include "hsogpu/types.hpp"
#include "hsogpu/version.hpp"
