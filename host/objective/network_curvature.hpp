// SPDX-License-Identifier: Apache-2.0
//
// The curvature operators of a network on its selected rows. All walk the micro-batches; what they return refers to
// them.
#pragma once

#include "hsogpu/objective/kronecker.hpp"
#include "objective/micro_batches.hpp"

namespace hso::detail {

/// hessian, ggn, fisher_mc or fisher_empirical. `linearized`: the main tape stands at theta with everything that the
/// products need.
template <class T>
std::unique_ptr<LinearOperator<T>> products_of(MicroBatches<T>& batches, const T* theta, Curvature kind,
                                               bool linearized);

/// Where results come late: queues g and the value (device memory) and gives the products at theta, without a wait.
/// Null, and nothing done, where that cannot be: on a CPU, for an objective that is not a network's alone, for more
/// than one micro-batch, and for a kind whose products need more than the gradient's pass.
template <class T>
std::unique_ptr<LinearOperator<T>> linearize_on_device(Objective<T>& objective, const T* theta, T* g, Curvature kind,
                                                       double* value);

/// UsageError for a source that has no factors.
template <class T>
std::unique_ptr<KroneckerOperator<T>> kronecker_of(MicroBatches<T>& batches, const T* theta,
                                                   const KroneckerOptions& options);

/// The exact diagonal of the ggn or of a Fisher matrix, weight decay included, into d[n]. fisher_mc draws targets from
/// number `draw` on.
template <class T>
void exact_diagonal_of(MicroBatches<T>& batches, const T* theta, Curvature source, T* d, std::uint64_t draw = 0);

template <class T>
struct KroneckerState;

/// f and g; `fresh` becomes the Kronecker factors at theta. One forward pass serves both.
template <class T>
double gradient_with_factors(MicroBatches<T>& batches, const T* theta, T* g, Curvature source, std::uint64_t draw,
                             KroneckerState<T>& fresh);

/// `fresh` becomes the factors where the main tape stands, behind a gradient of a selection that fits one micro-batch.
/// Queued, nobody waits; but for fisher_mc the launches are the same every time, and what they cost is not counted.
template <class T>
void factors_on_device(MicroBatches<T>& batches, Curvature source, std::uint64_t draw, KroneckerState<T>& fresh);
/// Gradients of the selected rows that they cost.
template <class T>
double cost_of_factors(MicroBatches<T>& batches, Curvature source);

/// The eigenvalues of a decomposed state := keep times themselves + (1 - keep) second moments at theta in its basis.
template <class T>
void average_tables(MicroBatches<T>& batches, const T* theta, Curvature source, std::uint64_t draw, double keep,
                    KroneckerState<T>& state);

}  // namespace hso::detail
