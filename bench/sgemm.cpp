// SPDX-License-Identifier: Apache-2.0
#include "sgemm.hpp"

#include <algorithm>

#include "hsogpu/detail/ops.hpp"

namespace hso::bench {
namespace {

template <class T>
Buffer<T> random_buffer(Context& context, Index n, unsigned seed) {
  const std::vector<double> x = random_numbers(n, seed);
  const std::vector<T> host(x.begin(), x.end());
  return Buffer<T>(context, Span<const T>(host));
}

}  // namespace

template <class T>
SquareGemm<T>::SquareGemm(Context& context)
    : context_(context),
      n_(context.is_cuda() ? 8192 : 1536),
      a_(random_buffer<T>(context, n_ * n_, 4)),
      b_(random_buffer<T>(context, n_ * n_, 5)),
      c_(context, n_ * n_) {}

template <class T>
void SquareGemm<T>::run() {
  context_.ops<T>().gemm({n_, n_, n_, a_.data(), n_, false, b_.data(), n_, false, c_.data(), n_});
}

template <class T>
double SquareGemm<T>::multiply_adds() const {
  const auto n = static_cast<double>(n_);
  return n * n * n;
}

template <class T>
GradientGemms<T>::GradientGemms(Context& context, const NetCase& net) : context_(context), batch_(net.batch) {
  const ModelSpec model = parse_model(net.model);
  widths_.push_back(model.input.size());
  for (const LayerSpec& layer : model.layers) {
    if (layer.type == "linear") widths_.push_back(layer.out);
    applies_ = applies_ && layer.type != "conv2d";
  }
  const Index widest = *std::max_element(widths_.begin(), widths_.end());
  x_ = random_buffer<T>(context, batch_ * widest, 6);
  dy_ = random_buffer<T>(context, batch_ * widest, 7);
  w_ = random_buffer<T>(context, widest * widest, 8);
  out_ = Buffer<T>(context, batch_ * widest);
  dw_ = Buffer<T>(context, widest * widest);
}

/// y = x W', dW = dy' x, dx = dy W; results are never operands, so every run multiplies the same numbers.
template <class T>
void GradientGemms<T>::layer(Index in, Index out, bool first) {
  auto& ops = context_.ops<T>();
  ops.gemm({batch_, out, in, x_.data(), in, false, w_.data(), in, true, out_.data(), out});
  ops.gemm({out, in, batch_, dy_.data(), out, true, x_.data(), in, false, dw_.data(), in});
  if (!first) ops.gemm({batch_, in, out, dy_.data(), out, false, w_.data(), in, false, out_.data(), in});
}

template <class T>
void GradientGemms<T>::run() {
  for (std::size_t i = 0; i + 1 < widths_.size(); ++i) layer(widths_[i], widths_[i + 1], i == 0);
}

template class SquareGemm<float>;
template class SquareGemm<double>;
template class GradientGemms<float>;
template class GradientGemms<double>;

}  // namespace hso::bench
