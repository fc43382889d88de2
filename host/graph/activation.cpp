// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "hsogpu/detail/op.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/graph.hpp"

namespace hso {
namespace detail {
namespace {

template <class T, class F>
class Pointwise final : public Op<T> {
 public:
  Pointwise(F f, std::string_view name) : f_(f), name_(name) {}
  std::string_view name() const override { return name_; }
  Shape infer(Span<const Shape> in) const override { return in[0]; }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    ops.for_each(1, p.y.size(), ActivationValue<T, F>{f_, p.x[0].data, p.y.data});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    diagonal(ops, p, Rx[0], Ry);
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) diagonal(ops, p, dy, dx[0]);
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    if (!F::kHasSecond || !Rdx[0]) return;  // piecewise linear: f'' = 0 wherever it exists
    const auto out = Rdx[0].write();
    ops.for_each(out.view.lanes, p.y.size(),
                 ActivationSecond<T, F>{f_, p.x[0].data, p.y.data, dy.data, Rx[0].data, Rx[0].lane_stride,
                                        out.view.data, out.view.lane_stride, out.accumulate});
  }

 private:
  void diagonal(Ops<T>& ops, const Point<T>& p, const View<T>& in, const Sink<T>& sink) const {
    const auto out = sink.write();
    ops.for_each(out.view.lanes, p.y.size(),
                 ActivationFirst<T, F>{f_, p.x[0].data, p.y.data, in.data, in.lane_stride, out.view.data,
                                       out.view.lane_stride, out.accumulate});
  }
  F f_;
  std::string_view name_;
};

}  // namespace
}  // namespace detail

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names{"relu",    "leaky_relu", "elu",  "tanh",
                                              "sigmoid", "softplus",   "gelu", "silu"};
  return names;
}

Activation parse_activation(const std::string& name) {
  const auto& names = activation_names();
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw UsageError(fmt::format("activation '{}': expected one of {}", name, fmt::join(names, ", ")));
  return static_cast<Activation>(at - names.begin());
}

template <class T>
Node activation(Graph<T>& g, Node x, Activation kind, double parameter) {
  const auto apply = [&](auto f) {
    const std::string_view name = activation_names()[static_cast<std::size_t>(kind)];
    return g.apply(std::make_unique<detail::Pointwise<T, decltype(f)>>(f, name), {x});
  };
  switch (kind) {
    case Activation::relu:
      return apply(detail::Relu{});
    case Activation::leaky_relu:
      return apply(detail::LeakyRelu{parameter < 0 ? 0.01 : parameter});
    case Activation::elu:
      return apply(detail::Elu{parameter < 0 ? 1.0 : parameter});
    case Activation::tanh:
      return apply(detail::Tanh{});
    case Activation::sigmoid:
      return apply(detail::Sigmoid{});
    case Activation::softplus:
      return apply(detail::Softplus{});
    case Activation::gelu:
      return apply(detail::Gelu{});
    case Activation::silu:
      return apply(detail::Silu{});
  }
  throw UsageError("activation: not a member of the enum");
}

template Node activation(Graph<float>&, Node, Activation, double);
template Node activation(Graph<double>&, Node, Activation, double);

}  // namespace hso
