// SPDX-License-Identifier: Apache-2.0
//
// Methods that precondition the gradient with running averages: diagonals of the Hessian (adahessian, sophia),
// Kronecker factors of the Fisher matrix (kfac, ekfac), statistics of the gradients of matrices (shampoo, soap, muon).
// Options apart from state; every field is an option of that name. Matrices are the slices of Objective::layout, a
// convolution's filters [out][in kh kw]; an objective without layers is one vector. Decoupled weight decay, schedules
// and clipping are wrappers and no part of these.
#pragma once

#include "hsogpu/optim/optimizer.hpp"

namespace hso {

/// What AdaHessian averages its diagonal over.
enum class SpatialAverage { none, row, kernel };
enum class DiagonalEstimator { hutchinson, gnb };
/// Whose length the step of a slice has: its own or the gradient's.
enum class Grafting { none, sgd };

/// AdaHessian (Yao et al., AAAI 2021, algorithm 1): Adam with Hutchinson's d = z o Hz, z = +-1, in place of g in the
/// second moment: theta -= rate m^ / (sqrt(v^)^power + epsilon).
/// `spatial` averages d: kernel over a convolution's [kh][kw], row over a row of every matrix, none. The authors'
/// code averages |d| there; here the average is of d with its sign, as the formula says.
struct AdaHessianOptions {
  double rate = 0.15;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-4;
  double power = 1;  ///< the Hessian power k, in (0, 1]
  SpatialAverage spatial = SpatialAverage::kernel;
  int refresh = 1;  ///< steps that one d serves
  Curvature curvature = Curvature::hessian;
  std::uint64_t seed = 0;
};

/// Sophia (Liu et al. 2023, algorithm 3): theta -= rate clip(m / max(gamma h, epsilon), 1), h a moving average of
/// diagonal estimates taken every `refresh` steps: "hutchinson" (algorithm 1: u o Hu, u normal) or "gnb", for networks
/// of products with the data: the mean of (gradient at targets drawn from the model)^2. There the paper squares the
/// mini-batch gradient and multiplies by its size (algorithm 2); here every sample's gradient is squared, an estimate
/// of the same mean with less variance. The paper takes gamma = 0.01 with hutchinson and 0.05 with gnb; its rates are
/// for language models.
struct SophiaOptions {
  double rate = 0.003;
  double beta1 = 0.96, beta2 = 0.99, gamma = 0.01, epsilon = 1e-12;
  DiagonalEstimator estimator = DiagonalEstimator::hutchinson;
  int refresh = 10;
  Curvature curvature = Curvature::hessian;  ///< of hutchinson
  std::uint64_t seed = 0;
};

/// K-FAC for mini-batches (Martens and Grosse, ICML 2015; convolutions: Grosse and Martens, ICML 2016), networks of
/// products with the data: theta -= rate v, v = momentum v + nu (B + sqrt(d)/pi I)^-1 G (A + pi sqrt(d) I)^-1 with
/// d = delta + weight decay, pi^2 = (tr A / dim A) / (tr B / dim B) (section 6.3), factors averaged with weights
/// min(1 - 1/k, decay) at the k-th (section 5). nu = min(1, sqrt(kl_clip / (rate^2 g'F^-1 g))) (Ba, Grosse and Martens,
/// ICLR 2017) stands for the paper's exact rescaling, momentum and damping adapted by trial (sections 6.4 to
/// 7), which hso.kfac has.
struct KfacOptions {
  double rate = 0.05;
  double momentum = 0.9;
  double delta = 0.03;                       ///< damping
  double decay = 0.95;                       ///< of the factors' averages
  double kl_clip = 0.001;                    ///< 0: no clip
  int factor_every = 10;                     ///< steps between factors
  int inverse_every = 100;                   ///< steps between their inverses or eigenbases
  Curvature factors = Curvature::fisher_mc;  ///< or fisher_empirical, ggn
};

/// Shampoo (Gupta, Koren and Singer, ICML 2018, algorithm 1): L = eps I + sum G G', R = eps I + sum G'G,
/// v = momentum v + L^(-1/4) G R^(-1/4), theta -= rate v; a vector is an order-1 tensor with L^(-1/2) (algorithm 2). An
/// axis longer than max_dimension keeps a diagonal. With beta < 1 the sums are averages, beta L + (1 - beta) G G', and
/// epsilon is added when the root is taken. Departures: filters of convolutions are matrices, not tensors of order 4;
/// roots can be refreshed every `refresh` steps, of which the first few after a cold start step far along directions
/// that the sums have not met, epsilon^(-1/2) times the gradient; "sgd" grafting gives each slice the gradient's norm.
struct ShampooOptions {
  double rate = 0.1;
  double momentum = 0.9;
  double beta = 1;
  double epsilon = 1e-4;
  int refresh = 1;
  int max_dimension = 1024;
  Grafting graft = Grafting::none;
};

/// SOAP (Vyas et al. 2024, algorithm 3): Adam in the eigenbases of Shampoo's L and R, averages with shampoo_beta; the
/// second moment lives in the eigenbasis, the first outside. Vectors take Adam; an axis longer than max_dimension is
/// not rotated. Departures: bases come from an eigendecomposition each time, not from a power step and QR (algorithm
/// 4), and the first step, which the authors' code skips, is taken in the basis of its own gradient.
struct SoapOptions {
  double rate = 0.003;
  double beta1 = 0.95, beta2 = 0.95, epsilon = 1e-8;
  double shampoo_beta = 0.95;
  int refresh = 10;
  int max_dimension = 4096;
};

/// Muon (Jordan et al. 2024): momentum, then five quintic Newton-Schulz steps towards the nearest orthogonal matrix,
/// X = a X + (b XX' + c (XX')^2) X with (a, b, c) = (3.4445, -4.7750, 2.0315) from X = G / |G|_F, times
/// sqrt(max(1, rows / columns)). Everything that is no matrix takes Adam. The author gives Adam the first and last
/// layer too: `hidden_only`, which leaves networks of two layers without Muon and is off.
struct MuonOptions {
  double rate = 0.02;
  double momentum = 0.95;
  bool nesterov = true;
  int iterations = 5;
  bool hidden_only = false;
  double adam_rate = 0.003, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-10;
};

template <class T>
std::unique_ptr<Optimizer<T>> make_adahessian(const AdaHessianOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_sophia(const SophiaOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_kfac(const KfacOptions& options);
/// EKFAC (George et al., NeurIPS 2018): the same factors, whose eigenbasis is refreshed every inverse_every steps; in
/// it the second moments of the samples' gradients, averaged every factor_every steps, plus delta divide.
template <class T>
std::unique_ptr<Optimizer<T>> make_ekfac(const KfacOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_shampoo(const ShampooOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_soap(const SoapOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_muon(const MuonOptions& options);

}  // namespace hso
