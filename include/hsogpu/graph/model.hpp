// SPDX-License-Identifier: Apache-2.0
//
// Models: from a word or a TOML file to a graph with a loss, and the numbers to start from.
//
//   ModelSpec spec = parse_model("mlp:64-32-10:tanh");           or "lenet5", or "net.toml"
//   Network<double> net = build_network<double>(spec, LossKind::cross_entropy);
//   std::vector<double> theta = initial_parameters(net.parameters, Initialization::glorot, seed);
//
// Words: `mlp:A-B-...-Z[:activation]` (default tanh, last layer linear), `lenet5`, `lenet300`, `digits_cnn`, `resnet20`
// (for [1, 28, 28]; `resnet20:CxHxW` for others),
// `rnn:STEPSxFEATURES-HIDDEN-...-OUTPUT`, `lstm:...` and `gru:...` (the last state goes into a linear layer); `lstm`
// and `gru` are those of 28x28-128-10.
//
// TOML: `input = [C, H, W]` or `[features]`, an optional `name`, then one [[layer]] table for each layer. Every layer
// takes `type` and an optional `name`; the options have PyTorch's meanings and defaults (* must be given; `kernel`,
// `stride`, `padding`, `dilation` and the size of a pool take one integer or a pair, height first):
//
//   linear               out*, bias                        over the last axis
//   conv2d               out*, kernel*, stride, padding, dilation, groups, bias
//   maxpool2d, avgpool2d kernel*, stride (the kernel), padding
//   adaptive_avgpool2d   size*
//   global_avgpool       one number for each channel
//   conv1d               out*, kernel*, stride, padding, dilation, groups, bias: over [channels, length]
//   maxpool1d, avgpool1d kernel*, stride (the kernel), padding
//   flatten              reshape: size*, the shape of one sample; transpose: [a, b] to [b, a]
//   rnn, lstm, gru       hidden*, layers, bidirectional, bias, last (the last state alone; a sample is [steps,
//                        features]); rnn: nonlinearity, "tanh" or "relu"
//   embedding            count*, out*: the rows of a table, for inputs that are whole numbers below count (tokens)
//   one_hot              count*: the same tokens as rows of zeros and a one
//   positions            adds a learnt row for each step
//   multihead_attention  heads*, causal, bias: over the steps of [steps, features]
//   transformer          heads*, hidden*, causal, activation ("gelu" or "relu"): layernorm, attention, layernorm and
//                        two linear layers with `hidden` numbers between them; what comes in is added twice
//   softmax              over the last axis
//   layernorm, rmsnorm   size (the last axes that are normalised together; the last one), eps (1e-5; rmsnorm: that of
//                        the number type), affine; layernorm: bias
//   groupnorm            groups*, eps, affine: of channels, over all positions
//   batchnorm1d          eps (1e-5), momentum (0.1), affine: of features, or of channels over [channels, length]; with
//                        the statistics of the batch while training, else with running ones
//   batchnorm2d          the same over [C, H, W]
//   dropout              p
//   add                  from*: the name of an earlier layer whose output is added, or "input"
//   shortcut             from*: the same of [c, h, w] to [C, H, W] with fewer positions or more channels: every s-th
//                        row and column, and zeros for the channels that it lacks, half of them in front
//   the names of enum Activation (graph.hpp), which take nothing but leaky_relu: slope, and elu: alpha
//
// Errors: UsageError for a word that is no model; InputError for a file that is wrong, with file, line and layer.
// Layers count from 0, as in the names of their parameters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/graph/graph.hpp"

namespace hso {

/// Height and width.
using Pair = std::array<Index, 2>;

/// One layer: its type word and the options of all types; a type looks at its own alone.
struct LayerSpec {
  std::string type;
  std::string name{};  ///< a letter, then letters, digits, '_'; unique in the model
  std::string from{};  ///< add, shortcut
  Index out = 0;       ///< features or channels
  Pair kernel{0, 0};
  Pair stride{0, 0};  ///< 0 is the default: 1 for conv2d, the kernel for pools
  Pair padding{0, 0};
  Pair dilation{1, 1};
  Index groups = 1;
  bool bias = true;
  Index hidden = 0;                   ///< rnn, lstm, gru: numbers of a state; transformer: of its inner layer
  Index layers = 1;                   ///< the same: how many, each over the states of the one below
  bool bidirectional = false;         ///< the same: a second one from the last step to the first, side by side
  bool last = false;                  ///< the same: the last state alone
  Index count = 0;                    ///< embedding, one_hot: how many tokens there are
  Index heads = 1;                    ///< multihead_attention, transformer
  bool causal = false;                ///< the same: a step sees itself and those before
  std::string activation = "gelu";    ///< transformer
  double eps = -1;                    ///< norms: added to the variance; negative: PyTorch's default
  bool affine = true;                 ///< norms: a scale and a shift behind them
  double momentum = 0.1;              ///< batchnorm: the share of a batch in the running statistics after it
  std::string nonlinearity = "tanh";  ///< rnn: tanh or relu
  double p = 0.5;                     ///< dropout: the probability of a zero
  double slope = 0.01;                ///< leaky_relu
  double alpha = 1;                   ///< elu
  std::vector<Index> size{};  ///< reshape: the sample's shape; adaptive_avgpool2d: one extent or height and width
  /// For messages: two layers that differ in it alone are equal.
  struct Place {
    std::string line{};  ///< "file:line"
    bool operator==(const Place&) const { return true; }
  } where{};

  bool operator==(const LayerSpec&) const = default;
};

struct ModelSpec {
  std::string name;
  Shape input;  ///< of one sample
  std::vector<LayerSpec> layers;
  /// Running statistics of its batchnorm layers, as Network::statistics lists them. Empty: those that a training starts
  /// with. They are read from and saved to where the parameters are; TOML has none.
  std::vector<double> statistics{};

  bool operator==(const ModelSpec&) const = default;
};

/// A word or the path of a TOML file (anything with a '/' or that ends in ".toml"). The result is checked: it builds.
ModelSpec parse_model(const std::string& word_or_path);
/// The text of a TOML file; `source` names it in messages, and the model where it has no `name`.
ModelSpec parse_model_toml(std::string_view text, const std::string& source);
/// parse_model_toml(to_toml(m), ...) == m.
std::string to_toml(const ModelSpec& model);
/// The named models, "mlp" aside.
const std::vector<std::string>& model_names();
/// sizes = input, hidden..., output; no activation after the last layer. UsageError below two sizes.
ModelSpec mlp(const std::vector<Index>& sizes, Activation hidden = Activation::tanh);

/// InputError unless samples of shape `data` can be fed: the same shape up to extents of 1, or the same number of
/// values where one of the two shapes is flat (an mlp takes images, row-major).
void check_input(const ModelSpec& model, const Shape& data);

enum class LossKind { cross_entropy, squared_error, bce, huber };  ///< squared_error: half the sum over the outputs
const std::vector<std::string>& loss_names();
LossKind parse_loss(const std::string& name);  ///< UsageError lists the names
const std::string& name_of(LossKind loss);

/// One parameter tensor, a slice of theta.
struct ParameterInfo {
  std::string name;  ///< as in a PyTorch Sequential: "0.weight", "0.bias"; a layer with a name has it for its number
  Shape shape;       ///< linear [out][in], conv2d [out][in / groups][kh][kw], conv1d [out][in / groups][k],
                     ///< embedding [count][out], bias [out]
  Index offset = 0;
  Index fan_in = 0,
        fan_out = 0;  ///< of the layer, so a bias has its weight's; conv2d counts the kernel: in / groups kh kw;
                      ///< recurrent layers have `hidden` for both, as PyTorch's start takes it
  bool is_bias = false;
  int layer = 0;                  ///< position in ModelSpec::layers
  std::optional<double> start{};  ///< where it starts, whatever the scheme: 1 for the scale of a norm, 0 for its shift
  Index uses = 0;  ///< multiply-adds with each entry in one sample's forward pass: positions or steps; biases 0
};

/// A model with its loss. Parameters are in the order of PyTorch's parameters(): weight, bias, layer by layer.
template <class T>
struct Network {
  Graph<T> graph;
  std::vector<ParameterInfo> parameters;
  Shape input, output;  ///< of one sample
  LossKind loss = LossKind::cross_entropy;
  Index vocabulary = 0;  ///< above 0: inputs are whole numbers below it (tokens)
  /// Running statistics, "1.running_mean" and "1.running_var" of each batchnorm layer, which are saved beside the
  /// parameters; offsets are those in the graph's statistics().
  std::vector<ParameterInfo> statistics{};
};
/// The same of a model.
Index vocabulary(const ModelSpec& model);

/// The target leaf has shape {} for cross_entropy, [steps] where the output is [steps, classes], and the output's shape
/// for other losses. InputError names the layer and
/// shows the shapes that do not fit.
template <class T>
Network<T> build_network(const ModelSpec& model, LossKind loss, std::uint64_t dropout_seed = 0);

enum class Initialization {
  glorot,   ///< uniform in +-sqrt(6 / (fan_in + fan_out)), bias 0 (Glorot and Bengio 2010, eq. 16)
  pytorch,  ///< uniform in +-1 / sqrt(fan_in), weight and bias: PyTorch's default for linear, conv2d, rnn, lstm and gru
  kaiming   ///< normal, standard deviation sqrt(2 / fan_in), bias 0 (He et al. 2015, eq. 10)
};
const std::vector<std::string>& initialization_names();
Initialization parse_initialization(const std::string& name);  ///< UsageError lists the names
const std::string& name_of(Initialization initialization);

/// theta to start from. Each tensor has its own Philox stream: the same numbers on every machine and device.
std::vector<double> initial_parameters(const std::vector<ParameterInfo>& parameters, Initialization initialization,
                                       std::uint64_t seed);

struct LayerSummary {
  std::string name;  ///< as in its parameters' names
  std::string type;
  Shape output;  ///< of one sample
  Index parameters = 0;
  Index multiply_adds = 0;  ///< of one sample's forward pass, in the products with weights alone
};
std::vector<LayerSummary> summarize(const ModelSpec& model);
Index multiply_adds(const ModelSpec& model);
/// A table for people: layer, output shape, parameters, multiply-adds, and their sums.
std::string summary_table(const ModelSpec& model);

}  // namespace hso
