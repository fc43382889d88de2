// SPDX-License-Identifier: Apache-2.0
//
// A network is a static graph of ops; every op has one output. Leaves are data, target and parameters.
//
//   Graph<double> g;
//   Node x = g.input({64}), t = g.target({});
//   Node w = g.parameter("w", {10, 64}), b = g.parameter("b", {10});
//   Node z = linear(g, x, w, b);
//   g.set_output(z);
//   g.set_loss(cross_entropy(g, z, t));
//
// Shapes are those of one sample; the batch is an extra first axis that the tape adds. Every op knows four exact
// derivative rules (detail/op.hpp), so gradient, Hessian and Gauss-Newton products of any graph are exact.
// Parameters are slices of one flat vector theta, in the order of their creation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

namespace detail {
template <class T>
class Op;
}

/// The position of a node in its graph; kNoNode where an input is optional.
using Node = int;
inline constexpr Node kNoNode = -1;

template <class T>
class Graph {
 public:
  enum class Kind { input, target, parameter, op };
  struct NodeInfo {
    Kind kind;
    std::string name;
    Shape shape;       ///< of one sample (parameters: their own)
    bool batched;      ///< false for parameters and what depends on nothing else
    Index offset = 0;  ///< parameters: where the slice starts in theta
    std::vector<Node> inputs;
    std::unique_ptr<detail::Op<T>> op;
  };

  Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  ~Graph();

  Node input(const Shape& sample_shape);   ///< one for each graph
  Node target(const Shape& sample_shape);  ///< one for each graph
  /// The next free slice of theta.
  Node parameter(const std::string& name, const Shape& shape);
  /// A slice that starts at `offset`; it may overlap others (tied weights): derivatives add up. UsageError for a slice
  /// that begins below 0 or ends beyond 2^63.
  Node parameter_at(const std::string& name, const Shape& shape, Index offset);
  /// Adds a node; InputError names the op and shows the shapes when they do not fit.
  Node apply(std::unique_ptr<detail::Op<T>> op, std::vector<Node> inputs);

  /// `count` numbers that belong to the model and are no parameters, such as running means, which start at `start`.
  /// Returns the place of the first.
  Index add_statistics(Index count, double start);
  const std::vector<double>& statistics() const { return statistics_; }
  /// InputError for another count.
  void set_statistics(const std::vector<double>& values);

  void set_output(Node node);  ///< the logits: what the loss sees and predictions are made from
  void set_loss(Node node);    ///< one number for each sample (shape {})

  Index parameter_count() const { return parameter_count_; }
  const std::vector<NodeInfo>& nodes() const { return nodes_; }
  const NodeInfo& operator[](Node node) const { return nodes_[static_cast<std::size_t>(node)]; }
  Node input_node() const { return input_; }
  Node target_node() const { return target_; }
  Node output_node() const { return output_; }
  Node loss_node() const { return loss_; }
  /// True when two parameter slices overlap.
  bool has_tied_parameters() const;

 private:
  Node add(NodeInfo info);
  void check(Node node, const char* where) const;
  std::vector<NodeInfo> nodes_;
  Index parameter_count_ = 0;
  std::vector<double> statistics_;
  Node input_ = kNoNode, target_ = kNoNode, output_ = kNoNode, loss_ = kNoNode;
};

// ---- ops; PyTorch's meaning of every option ----

/// y = x W' + b over the last axis of x; W [out][in], b [out] or kNoNode.
template <class T>
Node linear(Graph<T>& g, Node x, Node weight, Node bias = kNoNode);

struct Conv2dOptions {
  Index stride_h = 1, stride_w = 1, padding_h = 0, padding_w = 0, dilation_h = 1, dilation_w = 1, groups = 1;
};
/// Cross-correlation; x [C][H][W], W [out][C/groups][kh][kw], b [out] or kNoNode.
template <class T>
Node conv2d(Graph<T>& g, Node x, Node weight, Node bias = kNoNode, const Conv2dOptions& options = {});

struct Pool2dOptions {
  Index kernel_h = 2, kernel_w = 2, stride_h = 0, stride_w = 0, padding_h = 0, padding_w = 0;  ///< stride 0: the kernel
};
template <class T>
Node maxpool2d(Graph<T>& g, Node x, const Pool2dOptions& options = {});
template <class T>
Node avgpool2d(Graph<T>& g, Node x, const Pool2dOptions& options = {});  ///< counts the padding
template <class T>
Node adaptive_avgpool2d(Graph<T>& g, Node x, Index out_h, Index out_w);

template <class T>
Node flatten(Graph<T>& g, Node x);
template <class T>
Node reshape(Graph<T>& g, Node x, const Shape& sample_shape);
template <class T>
Node add(Graph<T>& g, Node a, Node b);  ///< equal shapes (residual connections)
/// Entries begin, ..., begin + length - 1 of an axis; axis 0 is the first of a sample.
template <class T>
Node slice(Graph<T>& g, Node x, int axis, Index begin, Index length);
/// One behind the other along an axis; the other extents are equal.
template <class T>
Node concat(Graph<T>& g, const std::vector<Node>& parts, int axis);

/// y[..., i] = W[t], where t are the numbers [...] of `tokens`, whole and from 0; W [count][i]. Not differentiated in
/// the tokens.
template <class T>
Node embedding(Graph<T>& g, Node tokens, Node weight);
/// y[..., c] = 1 where c is the token, else 0.
template <class T>
Node one_hot(Graph<T>& g, Node tokens, Index count);
/// x + W for every sample; W has the shape of one, [positions, ...].
template <class T>
Node add_positions(Graph<T>& g, Node x, Node weight);
/// Exchanges `axis` and the one behind it.
template <class T>
Node transpose(Graph<T>& g, Node x, int axis);
/// scale a b over the last two axes, matrix by matrix over the others: a [..., m, k], b [..., k, n], or [..., n, k] and
/// its transpose. Both come from the data.
template <class T>
Node matmul(Graph<T>& g, Node a, Node b, bool transpose_b = false, double scale = 1);
/// Over the last axis. `causal`, for [..., steps, steps]: step i sees the steps 0, ..., i, the others become 0.
template <class T>
Node softmax(Graph<T>& g, Node x, bool causal = false);

/// (x - m) / sqrt(mean((x - m)^2) + eps) in each row of `row` numbers, m their mean or, not `centered`, 0.
template <class T>
Node normalize(Graph<T>& g, Node x, Index row, bool centered, double eps);
struct BatchNormOptions {
  double eps = 1e-5, momentum = 0.1;
  std::string layer = "batch_norm";  ///< what messages call it
};
/// (x - m) / sqrt(v + eps) for each channel, the first axis of x [C, ...]. In training m and v are mean and variance of
/// the channel over all positions of all rows of the batch, and derivatives go through them; rows of weight 0, which
/// only fill a batch, do not count, and all others count alike, whatever their weights. Otherwise they are the running
/// statistics, C means and C variances of the graph's statistics() from 0 and 1 on. A forward pass in training leaves
/// (1 - momentum) of them and momentum of the batch's, the variance with D - 1 for D numbers, to whoever takes the step
/// (Ioffe and Szegedy 2015).
template <class T>
Node batch_norm(Graph<T>& g, Node x, const BatchNormOptions& options = {});
/// scale_c x + shift_c, where runs of `run` numbers belong to the channels c = 0, 1, ... in turn; shift may be kNoNode.
template <class T>
Node scale_shift(Graph<T>& g, Node x, Node scale, Node shift = kNoNode, Index run = 1);

enum class RecurrentCell { rnn_tanh, rnn_relu, lstm, gru };
/// h_1, ..., h_L [L][H] of a recurrence from zero states over the first axis of a sample; `reversed`: from the last
/// step to the first. gates [L][G H] are the pre-activations that the inputs contribute, x W_ih' + b_ih; weight W_hh [G
/// H][H], bias b_hh [G H] or kNoNode. G and the order of the gates are PyTorch's: rnn 1, lstm 4 (i, f, g, o), gru 3 (r,
/// z, n).
template <class T>
Node recurrence(Graph<T>& g, Node gates, Node weight, Node bias, RecurrentCell cell, bool reversed = false);

// ---- arithmetic and elementary functions, entry by entry: what a function of one's own is written with ----

template <class T>
Node subtract(Graph<T>& g, Node a, Node b);  ///< equal shapes
template <class T>
Node multiply(Graph<T>& g, Node a, Node b);  ///< equal shapes; a = b squares
template <class T>
Node affine(Graph<T>& g, Node x, double scale, double shift = 0);  ///< scale x + shift
template <class T>
Node sum(Graph<T>& g, Node x);  ///< over the entries of a sample: shape {}

template <class T>
Node exp(Graph<T>& g, Node x);
template <class T>
Node log(Graph<T>& g, Node x);
template <class T>
Node sqrt(Graph<T>& g, Node x);
template <class T>
Node reciprocal(Graph<T>& g, Node x);
template <class T>
Node sin(Graph<T>& g, Node x);
template <class T>
Node cos(Graph<T>& g, Node x);
template <class T>
Node atan(Graph<T>& g, Node x);

enum class Activation { relu, leaky_relu, elu, tanh, sigmoid, softplus, gelu, silu };
/// `parameter`: the slope of leaky_relu (0.01) or alpha of elu (1); negative takes the default.
template <class T>
Node activation(Graph<T>& g, Node x, Activation kind, double parameter = -1);
/// The names of the model grammar, in the order of the enum.
const std::vector<std::string>& activation_names();
/// UsageError lists the names when `name` is not one of them.
Activation parse_activation(const std::string& name);

/// Zero with probability p and 1/(1-p) x otherwise while training; x otherwise. A row's mask is a function of
/// (seed, layer, training step, number of the row): every product at one linearised point sees the same one, and it
/// does not matter in what micro-batches a NetworkObjective walks its data, whose rows these are. A tape bound by hand
/// numbers the rows of its batch.
template <class T>
Node dropout(Graph<T>& g, Node x, double p, std::uint64_t seed = 0);

// ---- losses: one number for each sample ----

/// -log softmax(z)_t, natural log; z [C], target {} holding the class. For sequences z [..., C] and target [...]: the
/// mean over the positions of a sample whose target is not -1, so that f is a mean of samples' means. PyTorch's
/// ignore_index averages over all positions of a batch that count: the same where every sample has as many.
template <class T>
Node cross_entropy(Graph<T>& g, Node logits, Node target);
/// sum_c (z_c - t_c)^2 / 2
template <class T>
Node squared_error(Graph<T>& g, Node output, Node target);
/// sum_c -t log s(z_c) - (1 - t) log(1 - s(z_c)), from logits; t in [0, 1].
template <class T>
Node bce(Graph<T>& g, Node logits, Node target);

/// sum_c (z_c - t_c)^2 / 2, where |z_c - t_c| is above 1: |z_c - t_c| - 1/2. No targets can be drawn from it.
template <class T>
Node huber(Graph<T>& g, Node output, Node target);

/// The sum of x itself, for functions that compare with no target: the Gauss-Newton matrix is zero.
template <class T>
Node as_loss(Graph<T>& g, Node x);

}  // namespace hso
