// SPDX-License-Identifier: Apache-2.0
//
// Training runs as `hso train` makes them.
//
//   train/train    options, records and the run directory
//   train/compare  several methods on several seeds
#pragma once

#include "hsogpu/train/compare.hpp"
#include "hsogpu/train/train.hpp"
