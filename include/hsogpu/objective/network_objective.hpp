// SPDX-License-Identifier: Apache-2.0
//
// A network on a data set as an Objective: f = 1/R sum_rows loss + weight_decay/2 |theta|^2 over the selected rows, in
// micro-batches of at most `batch` rows. Mini-batch training selects rows; full-batch methods select all (the default).
//
// Where batchnorm makes the rows of a batch depend on each other, in training, f is that of the selected rows together:
// they are never cut (UsageError where they do not fit one micro-batch), and gradient, hessian, ggn, fisher_empirical
// and fisher_mc are exact all the same, with g_n the gradient of loss_n through the statistics. Kronecker factors take
// what comes back through the statistics as if it were the row's own: one more approximation. The exact diagonal has no
// such rule, and is refused. Outside training batchnorm is a fixed map of each row.
#pragma once

#include <memory>

#include "hsogpu/data/dataset.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso {

namespace detail {
template <class T>
struct MicroBatches;
}

/// A data set in device memory, targets in the form that the loss wants: the class number for cross_entropy, one-hot
/// rows (one logistic output: 0 or 1) for the others, values where the data has values.
template <class T>
struct DeviceData {
  /// InputError when the data is not sound (Dataset::validate: lengths, labels outside [0, classes), numbers that are
  /// not finite) or does not fit the network: shapes, number of classes.
  DeviceData(Context& context, const Network<T>& network, const Dataset& data);
  Index size = 0;
  Buffer<T> inputs;   ///< [size][input]
  Buffer<T> targets;  ///< [size][target]
  Buffer<T> labels;   ///< [size] or [size][steps], classes; empty for regression
};

struct NetworkObjectiveOptions {
  Index batch = 0;  ///< rows on the device at a time; 0: all
  Index lanes = 0;  ///< directions at a time; 0: chosen from the memory that is free
  double weight_decay = 0;
  std::uint64_t fisher_seed = 0;  ///< fisher_mc: targets drawn once for each linearisation, by (seed, draw, row)
  Index fisher_draws = 1;         ///< fisher_mc: draws of every target, averaged
  /// What kfac, ekfac and diagonal approximate: ggn (exact factors), fisher_mc, fisher_empirical; diagonal also
  /// hessian, by Hutchinson's estimate from `diagonal_probes` products (seed: fisher_seed).
  Curvature factors = Curvature::ggn;
  Index diagonal_probes = 30;
  SecantOptions secant{};
  /// What there is room for: with for_ggn values, and products and factors of Gauss-Newton and Fisher matrices alone.
  Linearization most = Linearization::for_hessian;
};

struct Evaluation {
  double loss = 0;       ///< mean, weight decay left out
  double accuracy = -1;  ///< share of hits in [0, 1], of sequences among the steps with a class; -1 for regression
};

/// Methods that take theta, or room for a gradient, throw UsageError where it is null.
template <class T>
class NetworkObjective final : public Objective<T> {
 public:
  /// Keeps references to network and data.
  NetworkObjective(Context& context, const Network<T>& network, const DeviceData<T>& data,
                   const NetworkObjectiveOptions& options = {});
  ~NetworkObjective() override;

  /// The rows that value, gradient and curvature see from now on.
  void select(Span<const Index> rows);
  void select_all();
  /// The same without a copy for each batch: an order of rows goes to the device once, its first batch being selected,
  /// then a training batch is rows [first, first + count) of it, with the dropout masks of set_training(true, step).
  /// UsageError for rows that are not there, for a batch beyond the order or larger than what the device takes at a
  /// time, and where select was called since the order was set.
  void set_order(Span<const Index> rows);
  /// set_order with all rows in a random order, which is made on the device and depends on the seed alone.
  void shuffle(std::uint64_t seed);
  void select_from_order(Index first, Index count, std::uint64_t step);
  /// Dropout, and the statistics of the batch in batchnorm, on or off; `step` selects the masks.
  void set_training(bool training, std::uint64_t step = 0);

  /// Running statistics of batchnorm, which everything outside training uses: those of the network to begin with.
  std::vector<double> statistics() const;
  /// They become what the last gradient in training leaves: once for each step that is taken.
  void take_statistics();
  /// InputError for another count.
  void set_statistics(Span<const double> values);

  Context& context() const override;
  Index dimension() const override;
  NetworkObjective* network() override { return this; }
  /// The graph's parameters; overlapping ones (tied weights) that are not the same slice are one vector.
  std::vector<ParameterSlice> layout() const override;
  double value(const T* theta) override;
  void value_on_device(const T* theta, double* value) override;
  double gradient(const T* theta, T* g) override;
  /// One linearisation serves all products when the rows fit one micro-batch; otherwise every call walks the
  /// micro-batches.
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override;
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override;
  /// True while the rows fit one micro-batch and `kind` is one of hessian, ggn and fisher_empirical.
  bool announce_gradient(std::vector<std::uintptr_t>& key, Index products, Curvature kind) override;
  void gradient_on_device(const T* theta, T* g, double* value) override;
  void product_on_device(Curvature kind, const T* v, T* hv) override;

  /// Kronecker factors at theta, which outlive later calls. UsageError names a parameter that belongs to no linear or
  /// conv2d layer, or to two.
  std::unique_ptr<KroneckerOperator<T>> kronecker(const T* theta, const KroneckerOptions& options = {});

  /// Loss and accuracy over the selected rows, outside training.
  Evaluation evaluate(const T* theta);
  /// Directions that one traversal carries.
  Index lanes() const;
  /// For the library's own optimizers: the rows in micro-batches, and the tapes beneath.
  detail::MicroBatches<T>& micro_batches();
  /// All that was asked so far, evaluate() left out, in gradients over all rows of the data; a micro-batch of them
  /// counts by its share. Constants of deep networks, where a forward pass is a third of a gradient: value 1/3,
  /// gradient 1, product with the Hessian 2 and with ggn or a Fisher matrix 4/3 (tape.hpp: (6S - 4 s1) / (3S - s1) and
  /// (4S - 2 s1) / (3S - s1) stay below), a point for such products that no gradient left behind 2/3 and 1/3, each
  /// sweep of adjoints for Kronecker factors and exact diagonals 2/3; a dense matrix counts n products.
  double gradient_equivalents() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hso
