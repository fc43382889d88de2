// SPDX-License-Identifier: Apache-2.0
//
// A tape holds the buffers for one (graph, batch size, number of lanes) on one device and walks the graph.
//
// With f(theta) = sum_n w_n loss_n(theta) over the bound batch (w_n = 1/N gives the mean, rows of weight zero pad a
// ragged batch), g its gradient, H its Hessian and G its Gauss-Newton matrix sum_n w_n J_n' (d^2 loss/dz^2) J_n:
//
//   tape.bind(batch); f = tape.forward(theta);          f
//   tape.linearize(theta, &g)                           f and g, and the point for products
//   tape.product(Curvature::hessian, V, HV)             HV = H V, K directions at once, exact (Pearlmutter 1994)
//   tape.product(Curvature::ggn, V, GV)                 GV = G V (Schraudolph 2002)
//   tape.product(Curvature::fisher_empirical, V, FV)    FV = sum_n w_n g_n g_n' V, g_n the gradient of loss_n
//
// GEMM work with S = one forward pass and s1 its first layer: gradient 3S - s1, fresh HVP 8S - 5 s1, HVP at a
// linearised point 6S - 4 s1, GGN product 4S - 2 s1. With `add` a result is summed onto what is there.
#pragma once

#include <memory>
#include <vector>

#include "hsogpu/core/context.hpp"
#include "hsogpu/graph/curvature.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {

namespace detail {
template <class T>
struct Traversal;
}

template <class T>
class Tape {
 public:
  /// `lanes`: the most directions one traversal carries; longer requests are cut into pieces of that size. 0: the tape
  /// has room for values alone. `most`: with for_ggn it has none for gradients and Hessian products. What has no room
  /// is a UsageError. The tape keeps references to context and graph.
  Tape(Context& context, const Graph<T>& graph, Index batch, Index lanes = 1,
       Linearization most = Linearization::for_hessian);
  ~Tape();
  Tape(Tape&&) noexcept;

  Context& context() const;
  const Graph<T>& graph() const;
  Index batch() const;
  Index lanes() const;
  Index dimension() const;  ///< n, the length of theta

  // The bound batch lives in the tape's own device memory; fill these, or call bind with host values.
  View<T> input();    ///< [N][input shape]
  View<T> target();   ///< [N][target shape]; null where the graph has no target
  View<T> weights();  ///< [N]
  /// Host arrays of at most N rows; the rest gets weight zero. `weight` is every row's weight, 1/rows when not
  /// positive.
  void bind(Span<const T> input, Span<const T> target, double weight = 0);

  /// Dropout and the statistics of the batch on or off, and the training step that selects the masks. Products stay in
  /// the mode of the forward pass at their point.
  void set_training(bool training, std::uint64_t step = 0);

  /// Running statistics [m], in the order of the graph's: those that passes use outside training, the graph's own until
  /// they are overwritten; and those that the last forward pass in training would leave after its step.
  View<T> statistics();
  View<T> next_statistics();

  // UsageError where theta is null.
  /// f at theta (device memory, n numbers); output() and losses() hold the batch's values afterwards.
  double forward(const T* theta);
  View<const T> output() const;
  View<const T> losses() const;
  /// f, and g (+)= its gradient.
  double gradient(const T* theta, T* g, bool add = false);

  /// The same with f left in device memory: queued, nobody waits, part of recorded sequences.
  void forward_on_device(const T* theta, double* value);
  void gradient_on_device(const T* theta, T* g, double* value, bool add = false);

  /// Makes theta the point of the products that follow, until the next forward or linearize. `g` may be null: for
  /// Hessian products the interior adjoints are computed all the same, for GGN products nothing is. Returns f.
  double linearize(const T* theta, T* g, Linearization purpose = Linearization::for_hessian, bool add = false);

  /// HV (+)= curvature V, V and HV [lanes][n] on the device. Kinds: hessian, ggn and fisher_empirical.
  void product(Curvature kind, View<const T> v, View<T> hv, bool add = false);

  /// Replaces the bound targets by draw `stream` of `seed` from the model's own distribution at the linearised point,
  /// rows numbered from `first`: class ~ softmax(z), target ~ z + N(0, 1), or 1 with probability logistic(z). Then
  /// fisher_empirical products are those of the Monte Carlo Fisher matrix, whose mean is G for these three losses.
  void sample_targets(std::uint64_t seed, std::uint64_t stream, Index first = 0);

  /// The same between chosen parameter leaves. One view for each parameter node, in order of creation; a null tangent
  /// is zero and a null result is not computed. All views have the same lane count, at most lanes().
  void product(Curvature kind, Span<const View<T>> tangents, Span<const View<T>> results, bool add = false);

  /// The dense matrix, all n rows, into h[n][n] (device). Columns go `lanes()` at a time, grouped by parameter leaf,
  /// rows from that leaf on; the rest is filled by symmetry. `add` sums onto a matrix that an earlier batch left.
  void dense(Curvature kind, T* h, bool add = false);

  /// Parameter nodes in order of creation.
  const std::vector<Node>& leaves() const;
  /// For the library's own operators: the loops beneath, which know more than products.
  detail::Traversal<T>& traversal();
  /// Device bytes that a tape made like this takes, scratch excluded.
  static Index bytes(const Context& context, const Graph<T>& graph, Index batch, Index lanes,
                     Linearization most = Linearization::for_hessian);
  /// Lanes beyond which a traversal gains nothing: the widest tangent of all lanes fills what Ops::chunk_bytes says, a
  /// core's cache on a CPU and a fair load on a GPU. From 1, or 8 with convolutions, to 32.
  static Index useful_lanes(Context& context, const Graph<T>& graph, Index batch);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hso
