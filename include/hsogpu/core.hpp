// SPDX-License-Identifier: Apache-2.0
//
// Devices, memory, views, errors and interruption: what everything else stands on.
//
//   core/types      Index, Shape, View and Span
//   core/error      the exceptions, one class a kind, and their exit codes
//   core/context    a device: memory, streams, verbs; Buffer
//   core/interrupt  leaving long work early
//   core/state      what an object keeps from step to step, written and read by one list of its members
#pragma once

#include "hsogpu/core/context.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/core/state.hpp"
#include "hsogpu/core/types.hpp"
