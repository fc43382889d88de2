// SPDX-License-Identifier: Apache-2.0
//
// Files to batches.
//
//   data/dataset        readers, splits, scaling and what they report
//   data/prepared_data  one way from a file to the rows that a model sees
//   data/io             npy and safetensors
#pragma once

#include "hsogpu/data/dataset.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/data/prepared_data.hpp"
