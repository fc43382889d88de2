// SPDX-License-Identifier: Apache-2.0
//
// All of libhsogpu. Each of these opens with a list of what it holds.
#pragma once

#include "hsogpu/core.hpp"
#include "hsogpu/data.hpp"
#include "hsogpu/graph.hpp"
#include "hsogpu/linalg.hpp"
#include "hsogpu/objective.hpp"
#include "hsogpu/optim.hpp"
#include "hsogpu/prune.hpp"
#include "hsogpu/train.hpp"
#include "hsogpu/version.hpp"
