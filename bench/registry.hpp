// SPDX-License-Identifier: Apache-2.0
//
// The benchmarks of hso_bench by theme.
#pragma once

namespace hso::bench {

/// gradient, hvp_fresh, hvp_linearised, lanes, ggn: every network, float32; float64 for the smaller ones.
void register_products();
/// dense Hessian, eigendecomposition, one HSO step: networks whose n x n matrix is small.
void register_dense();
/// Lanczos and stochastic Lanczos quadrature: every network, float32.
void register_spectral();
/// Steps of optimizers over steps of sgd: lenet300, float32.
void register_optimizers();

}  // namespace hso::bench
