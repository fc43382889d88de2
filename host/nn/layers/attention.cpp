// SPDX-License-Identifier: Apache-2.0
//
// Layers of language models: embedding, one_hot, positions, softmax, multihead_attention and a pre-norm transformer
// block (Vaswani et al. 2017; Xiong et al. 2020). Names, order and shapes of the parameters are those of PyTorch's
// MultiheadAttention and TransformerEncoderLayer with batch_first and norm_first.
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "nn/layers/families.hpp"

namespace hso {
namespace {

struct Mixing {
  static constexpr auto kink = layer::smooth;
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
};

LayerOption count() { return {"count", &LayerSpec::count, true, 1}; }
LayerOption heads() { return {"heads", &LayerSpec::heads, true, 1}; }
LayerOption causal() { return {"causal", &LayerSpec::causal}; }

/// A linear layer of a larger one, from parameters "<prefix>weight" and "<prefix>bias"; every step is a position.
struct Dense {
  Node weight = kNoNode, bias = kNoNode;
};
template <class T>
Dense dense(LayerSite<T>& at, const std::string& prefix, Index in, Index out, bool bias, Index steps) {
  Dense d;
  d.weight = at.parameter(prefix + "weight", {out, in}, in, out, false, steps);
  if (bias) d.bias = at.parameter(prefix + "bias", {out}, in, out, true);
  return d;
}
template <class T>
Node apply(Graph<T>& g, Node x, const Dense& d) {
  return linear(g, x, d.weight, d.bias);
}

struct Embedding : Mixing {
  static constexpr const char* kType = "embedding";
  static std::vector<LayerOption> options() { return {count(), layer::out()}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    at.takes_tokens(l.count);
    return embedding(at.graph, at.x, at.parameter(".weight", {l.count, l.out}, 1, l.out, false, 0));
  }
};

struct OneHot : Mixing {
  static constexpr const char* kType = "one_hot";
  static std::vector<LayerOption> options() { return {count()}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    at.takes_tokens(l.count);
    return one_hot(at.graph, at.x, l.count);
  }
};

/// A learnt row for each step.
struct Positions : Mixing {
  static constexpr const char* kType = "positions";
  static std::vector<LayerOption> options() { return {}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec&) {
    const Shape in = at.shape();
    if (in.rank() != 2)
      throw InputError(fmt::format("positions: input {}, expected [steps, features]", in.to_string()));
    return add_positions(at.graph, at.x, at.parameter(".weight", in, 1, in[1], false, 0));
  }
};

struct Softmax : Mixing {
  static constexpr const char* kType = "softmax";
  static std::vector<LayerOption> options() { return {}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec&) {
    return softmax(at.graph, at.x);
  }
};

struct Attention {
  Dense in, out;
};
template <class T>
Attention attention_parameters(LayerSite<T>& at, const LayerSpec& l, const std::string& prefix, bool bias) {
  const Shape in = at.shape();
  if (in.rank() != 2) throw InputError(fmt::format("{}: input {}, expected [steps, features]", l.type, in.to_string()));
  if (in[1] % l.heads != 0)
    throw InputError(
        fmt::format("{}: input {}, expected features that divide into heads = {}", l.type, in.to_string(), l.heads));
  return {dense(at, prefix + "in_proj_", in[1], 3 * in[1], bias, in[0]),
          dense(at, prefix + "out_proj.", in[1], in[1], bias, in[0])};
}

/// x [steps][features] to softmax(q k' / sqrt(features / heads)) v, head by head, and a linear layer behind.
template <class T>
Node attend(Graph<T>& g, Node x, const Attention& a, Index heads, bool causal) {
  const Index steps = g[x].shape[0], features = g[x].shape[1], each = features / heads;
  const Node parts = transpose(g, reshape(g, apply(g, x, a.in), {steps, 3 * heads, each}), 0);
  const Node q = slice(g, parts, 0, 0, heads), k = slice(g, parts, 0, heads, heads),
             v = slice(g, parts, 0, 2 * heads, heads);
  const Node scores = matmul(g, q, k, true, 1 / std::sqrt(static_cast<double>(each)));
  const Node values = transpose(g, matmul(g, softmax(g, scores, causal), v), 0);
  return apply(g, reshape(g, values, {steps, features}), a.out);
}

struct MultiheadAttention : Mixing {
  static constexpr const char* kType = "multihead_attention";
  static std::vector<LayerOption> options() { return {heads(), causal(), layer::bias()}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Attention a = attention_parameters(at, l, ".", l.bias);
    return attend(at.graph, at.x, a, l.heads, l.causal);
  }
};

/// x + attention(norm1(x)), then that + linear2(activation(linear1(norm2(that)))).
struct Transformer : Mixing {
  static constexpr const char* kType = "transformer";
  static bool kink(const LayerSpec& l) { return l.activation == "relu"; }
  static std::vector<LayerOption> options() {
    return {heads(),
            {"hidden", &LayerSpec::hidden, true, 1},
            causal(),
            {.key = "activation", .field = &LayerSpec::activation, .choices = {"gelu", "relu"}}};
  }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Attention a = attention_parameters(at, l, ".self_attn.", true);
    const Index steps = at.shape()[0], features = at.shape()[1];
    const Dense first = dense(at, ".linear1.", features, l.hidden, true, steps);
    const Dense second = dense(at, ".linear2.", l.hidden, features, true, steps);
    const Dense norm1 = norm_parameters(at, ".norm1.", features, steps);
    const Dense norm2 = norm_parameters(at, ".norm2.", features, steps);
    Graph<T>& g = at.graph;
    const Node x = add(g, at.x, attend(g, normalized(g, at.x, norm1), a, l.heads, l.causal));
    const Activation kind = parse_activation(l.activation);
    const Node h = activation(g, apply(g, normalized(g, x, norm2), first), kind);
    return add(g, x, apply(g, h, second));
  }

 private:
  template <class T>
  static Dense norm_parameters(LayerSite<T>& at, const std::string& prefix, Index features, Index steps) {
    const Node scale = layer::scale_parameter(at, prefix + "weight", {features}, steps);
    return {scale, layer::shift_parameter(at, prefix + "bias", {features})};
  }
  template <class T>
  static Node normalized(Graph<T>& g, Node x, const Dense& d) {
    return scale_shift(g, normalize(g, x, g[x].shape[1], true, 1e-5), d.weight, d.bias);
  }
};

}  // namespace

std::vector<LayerType> attention_layers() {
  return {layer_type<Embedding>(),          layer_type<OneHot>(),     layer_type<Positions>(), layer_type<Softmax>(),
          layer_type<MultiheadAttention>(), layer_type<Transformer>()};
}

}  // namespace hso
