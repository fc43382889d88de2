// SPDX-License-Identifier: Apache-2.0
//
// Devices, memory, views, errors and interruption: what everything else stands on.
//
//   core/types      Index, Shape, View and Span
//   core/error      the exceptions, one class a kind, and their exit codes
//   core/context    a device: memory, streams, verbs; Buffer
//   core/interrupt  leaving long work early
#pragma once

#include "hsogpu/core/context.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/core/types.hpp"
