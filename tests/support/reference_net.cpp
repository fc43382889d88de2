// SPDX-License-Identifier: Apache-2.0
#include "support/reference_net.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "support/dual.hpp"
#include "support/reference_layers.hpp"

namespace hso::test {
namespace {

template <class S>
S activate(const std::string& name, double number, const S& x) {
  if (name == "relu") return plain(x) > 0 ? x : S(0);
  if (name == "leaky_relu") return plain(x) > 0 ? x : S(number < 0 ? 0.01 : number) * x;
  if (name == "elu") return plain(x) > 0 ? x : S(number < 0 ? 1.0 : number) * (exp(x) - S(1));
  if (name == "tanh") return tanh(x);
  if (name == "sigmoid") return S(1) / (S(1) + exp(-x));
  if (name == "softplus") return log(S(1) + exp(x));
  if (name == "gelu") return x * S(0.5) * (S(1) + erf(x * S(0.70710678118654752440)));
  if (name == "silu") return x / (S(1) + exp(-x));
  throw std::logic_error("the reference interpreter has no formula for the activation " + name + ": add one");
}

template <class S>
S function(const std::string& name, double scale, const S& x) {
  if (name == "exp") return exp(x);
  if (name == "log") return log(x);
  if (name == "sqrt") return sqrt(x);
  if (name == "reciprocal") return S(1) / x;
  if (name == "sin") return sin(x);
  if (name == "cos") return cos(x);
  if (name == "atan") return atan(x);
  if (name == "affine") return S(scale) * x + S(Net::kShift);
  throw std::logic_error("the reference interpreter has no formula for the function " + name + ": add one");
}

template <class S>
Tensor<S> linear(const Tensor<S>& x, const Tensor<S>& w, const Tensor<S>* b) {
  const int out = w.shape[0], in = w.shape[1], rows = count(x.shape) / in;
  Tensor<S> y{x.shape, std::vector<S>(static_cast<std::size_t>(rows * out))};
  y.shape.back() = out;
  for (int r = 0; r < rows; ++r)
    for (int o = 0; o < out; ++o) {
      S sum = b != nullptr ? b->v[o] : S(0);
      for (int i = 0; i < in; ++i) sum += x.v[r * in + i] * w.v[o * in + i];
      y.v[r * out + o] = sum;
    }
  return y;
}

template <class S>
Tensor<S> convolve(const Layer& l, const Tensor<S>& x, const Tensor<S>& w, const Tensor<S>* b) {
  const int height = x.shape[1], width = x.shape[2], out = w.shape[0], in = w.shape[1], kh = w.shape[2],
            kw = w.shape[3];
  const int oh = (height + 2 * l.padding[0] - l.dilation[0] * (kh - 1) - 1) / l.stride[0] + 1;
  const int ow = (width + 2 * l.padding[1] - l.dilation[1] * (kw - 1) - 1) / l.stride[1] + 1;
  Tensor<S> y{{out, oh, ow}, {}};
  for (int o = 0; o < out; ++o)
    for (int p = 0; p < oh; ++p)
      for (int q = 0; q < ow; ++q) {
        S sum = b != nullptr ? b->v[o] : S(0);
        const int first = o / (out / l.groups) * in;  // this group's first input channel
        for (int c = 0; c < in; ++c)
          for (int i = 0; i < kh; ++i)
            for (int j = 0; j < kw; ++j) {
              const int row = p * l.stride[0] - l.padding[0] + i * l.dilation[0];
              const int col = q * l.stride[1] - l.padding[1] + j * l.dilation[1];
              if (row < 0 || row >= height || col < 0 || col >= width) continue;
              sum += x.v[((first + c) * height + row) * width + col] * w.v[((o * in + c) * kh + i) * kw + j];
            }
        y.v.push_back(sum);
      }
  return y;
}

struct Window {
  int begin, end;  ///< inside the image
  int padded;      ///< extent with the padding that it covers
};

Window window(const Layer& l, int axis, int o, int in) {
  if (l.kind == Layer::Kind::adaptive_avgpool2d) {
    const int out = l.shape[axis], begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
    return {begin, end, end - begin};
  }
  const int begin = o * l.stride[axis] - l.padding[axis], end = begin + l.kernel[axis];
  return {std::max(begin, 0), std::min(end, in), std::min(end, in + l.padding[axis]) - begin};
}

template <class S>
S pool_window(const Layer& l, const S* image, int width, const Window& r, const Window& c) {
  S best = image[r.begin * width + c.begin], sum(0);
  for (int i = r.begin; i < r.end; ++i)
    for (int j = c.begin; j < c.end; ++j) {
      const S& x = image[i * width + j];
      if (plain(x) > plain(best)) best = x;
      sum += x;
    }
  return l.kind == Layer::Kind::maxpool2d ? best : sum / S(static_cast<double>(r.padded * c.padded));
}

template <class S>
Tensor<S> pool(const Layer& l, const Tensor<S>& x) {
  const int channels = x.shape[0], height = x.shape[1], width = x.shape[2];
  const bool adaptive = l.kind == Layer::Kind::adaptive_avgpool2d;
  const int oh = adaptive ? l.shape[0] : (height + 2 * l.padding[0] - l.kernel[0]) / l.stride[0] + 1;
  const int ow = adaptive ? l.shape[1] : (width + 2 * l.padding[1] - l.kernel[1]) / l.stride[1] + 1;
  Tensor<S> y{{channels, oh, ow}, {}};
  for (int c = 0; c < channels; ++c)
    for (int p = 0; p < oh; ++p)
      for (int q = 0; q < ow; ++q)
        y.v.push_back(pool_window(l, &x.v[c * height * width], width, window(l, 0, p, height), window(l, 1, q, width)));
  return y;
}

/// Entries [begin, begin + length) of an axis.
template <class S>
Tensor<S> sliced(const Tensor<S>& x, int axis, int begin, int length) {
  Tensor<S> y{x.shape, {}};
  y.shape[axis] = length;
  const int inner = std::accumulate(x.shape.begin() + axis + 1, x.shape.end(), 1, std::multiplies<>());
  for (int i = 0; i < count(x.shape); ++i)
    if (const int at = i / inner % x.shape[axis]; at >= begin && at < begin + length) y.v.push_back(x.v[i]);
  return y;
}

/// Entry (a, j, b) of the result comes from the part that holds place j of the axis.
template <class S>
Tensor<S> joined(const std::vector<const Tensor<S>*>& parts, int axis) {
  Tensor<S> y{parts[0]->shape, {}};
  y.shape[axis] = 0;
  for (const auto* part : parts) y.shape[axis] += part->shape[axis];
  const int inner = std::accumulate(y.shape.begin() + axis + 1, y.shape.end(), 1, std::multiplies<>());
  const int outer = count(y.shape) / (inner * y.shape[axis]);
  for (int a = 0; a < outer; ++a)
    for (const auto* part : parts) {
      const int run = inner * part->shape[axis];
      y.v.insert(y.v.end(), part->v.begin() + a * run, part->v.begin() + (a + 1) * run);
    }
  return y;
}

/// -log softmax(z)_t, sum (z - t)^2 / 2, or -t log s(z) - (1 - t) log(1 - s(z)), written as in a textbook.
template <class S>
S loss_of(Layer::Kind kind, const std::vector<S>& z, const Numbers& t) {
  S sum(0);
  if (kind == Layer::Kind::cross_entropy) {
    const std::size_t classes = z.size() / t.size();
    double counted = 0;
    for (std::size_t i = 0; i < t.size(); ++i) {
      if (t[i] < 0) continue;
      counted += 1;
      S terms(0);
      for (std::size_t c = 0; c < classes; ++c) terms += exp(z[i * classes + c]);
      sum += log(terms) - z[i * classes + static_cast<std::size_t>(t[i])];
    }
    return counted > 0 ? sum * S(1 / counted) : sum;
  }
  for (std::size_t c = 0; c < z.size(); ++c) {
    const S difference = z[c] - S(t[c]), s = S(1) / (S(1) + exp(-z[c]));
    const S half_square = S(0.5) * difference * difference;
    const double r = plain(difference);
    if (kind == Layer::Kind::squared_error || (kind == Layer::Kind::huber && std::fabs(r) <= 1))
      sum += half_square;
    else if (kind == Layer::Kind::huber)
      sum += (r > 0 ? difference : -difference) - S(0.5);
    else
      sum += -(S(t[c]) * log(s)) - S(1 - t[c]) * log(S(1) - s);
  }
  return sum;
}

template <class S>
std::vector<S> as(const Numbers& x, std::size_t first, std::size_t size) {
  return {x.begin() + static_cast<std::ptrdiff_t>(first), x.begin() + static_cast<std::ptrdiff_t>(first + size)};
}

template <class S>
Numbers plain_values(const std::vector<S>& x) {
  Numbers out;
  for (const S& entry : x) out.push_back(plain(entry));
  return out;
}

template <class S>
Tensor<S> evaluate(const Problem& p, const std::vector<S>& theta, int n, const Layer& l, int position,
                   const std::vector<Tensor<S>>& done) {
  using Kind = Layer::Kind;
  const auto in = [&](std::size_t i) -> const Tensor<S>& { return done[static_cast<std::size_t>(l.in[i])]; };
  switch (l.kind) {
    case Kind::input:
      return {l.shape, as<S>(p.x, n * count(l.shape), count(l.shape))};
    case Kind::target:
      return {l.shape, as<S>(p.t, n * count(l.shape), count(l.shape))};
    case Kind::parameter:
      return {l.shape, std::vector<S>(theta.begin() + l.offset, theta.begin() + l.offset + count(l.shape))};
    case Kind::linear:
      return linear(in(0), in(1), l.in.size() > 2 ? &in(2) : nullptr);
    case Kind::conv2d:
      return convolve(l, in(0), in(1), l.in.size() > 2 ? &in(2) : nullptr);
    case Kind::maxpool2d:
    case Kind::avgpool2d:
    case Kind::adaptive_avgpool2d:
      return pool(l, in(0));
    case Kind::reshape:
      return {l.shape, in(0).v};
    case Kind::slice:
      return sliced(in(0), l.shape[0], l.offset, l.shape[1]);
    case Kind::concat: {
      std::vector<const Tensor<S>*> parts;
      for (std::size_t i = 0; i < l.in.size(); ++i) parts.push_back(&in(i));
      return joined(parts, l.shape[0]);
    }
    case Kind::recurrence:
      return states_of(l.name, in(0), in(1).v.data(), l.in.size() > 2 ? in(2).v.data() : nullptr, in(1).shape[1],
                       false);
    case Kind::layer: {
      Slices<S> slices(theta.data() + l.offset);
      return layer_output(l.name, in(0), slices);
    }
    default:
      break;
  }
  Tensor<S> y = in(0);
  if (l.kind == Kind::add)
    for (std::size_t i = 0; i < y.v.size(); ++i) y.v[i] += in(1).v[i];
  else if (l.kind == Kind::subtract)
    for (std::size_t i = 0; i < y.v.size(); ++i) y.v[i] = y.v[i] - in(1).v[i];
  else if (l.kind == Kind::multiply)
    for (std::size_t i = 0; i < y.v.size(); ++i) y.v[i] *= in(1).v[i];
  else if (l.kind == Kind::total)
    y = {{}, {std::accumulate(y.v.begin(), y.v.end(), S(0))}};
  else if (l.kind == Kind::function)
    for (S& x : y.v) x = function(l.name, l.number, x);
  else if (l.kind == Kind::activation)
    for (S& x : y.v) x = activate(l.name, l.number, x);
  else if (l.kind == Kind::dropout) {
    const auto mask = p.masks.find(position);
    for (std::size_t i = 0; mask != p.masks.end() && i < y.v.size(); ++i)
      y.v[i] = y.v[i] * S(mask->second[n * y.v.size() + i]);
  } else
    y = {{}, {loss_of(l.kind, in(0).v, plain_values(in(1).v))}};
  return y;
}

/// What a layer makes of all samples together.
template <class S>
void evaluate_together(const std::vector<S>& theta, const Layer& l, std::vector<std::vector<Tensor<S>>>& done) {
  std::vector<Tensor<S>*> samples;
  for (auto& sample : done) {
    sample.push_back(sample[static_cast<std::size_t>(l.in[0])]);
    samples.push_back(&sample.back());
  }
  Slices<S> slices(theta.data() + l.offset);
  batch_normalize(LayerLine(l.name), samples, false, slices);
}

/// Layer `last` for every sample, from all layers before it.
template <class S>
std::vector<std::vector<S>> run(const Problem& p, const std::vector<S>& theta, int last) {
  std::vector<std::vector<Tensor<S>>> done(static_cast<std::size_t>(p.batch));
  for (auto& sample : done) sample.reserve(static_cast<std::size_t>(last) + 1);
  for (int i = 0; i <= last; ++i) {
    const Layer& l = p.net->layers[static_cast<std::size_t>(i)];
    if (p.training && l.kind == Layer::Kind::layer && l.name.starts_with("batchnorm"))
      evaluate_together(theta, l, done);
    else
      for (int n = 0; n < p.batch; ++n) {
        auto& sample = done[static_cast<std::size_t>(n)];
        sample.push_back(evaluate(p, theta, n, l, i, sample));
      }
  }
  std::vector<std::vector<S>> out;
  for (const auto& sample : done) out.push_back(sample.back().v);
  return out;
}

template <class S>
S total_loss(const Problem& p, const std::vector<S>& theta) {
  const auto losses = run(p, theta, p.net->loss);
  S sum(0);
  for (int n = 0; n < p.batch; ++n) sum += S(p.weights[n]) * losses[static_cast<std::size_t>(n)][0];
  return sum;
}

using Single = Dual<double>;
using Nested = Dual<Single>;

std::vector<Nested> nested(const Problem& p) { return {p.theta.begin(), p.theta.end()}; }

/// The second derivative of one sample's loss in its first input z: [C][C].
Numbers output_hessian(Layer::Kind loss, const Numbers& z, const Numbers& t) {
  const std::size_t c = z.size();
  Numbers h(c * c);
  for (std::size_t i = 0; i < c; ++i)
    for (std::size_t j = 0; j < c; ++j) {
      std::vector<Nested> at(z.begin(), z.end());
      at[i].v.d = 1;
      at[j].d.v = 1;
      h[i * c + j] = loss_of(loss, at, t).d.d;
    }
  return h;
}

/// Entry [n][j] holds dz_n/dtheta_j.
std::vector<std::vector<Numbers>> output_jacobians(const Problem& p, int z) {
  std::vector<std::vector<Numbers>> rows(static_cast<std::size_t>(p.batch));
  std::vector<Single> theta(p.theta.begin(), p.theta.end());
  for (Single& entry : theta) {
    entry.d = 1;
    const auto values = run(p, theta, z);
    for (std::size_t n = 0; n < rows.size(); ++n) {
      rows[n].emplace_back();
      for (const Single& x : values[n]) rows[n].back().push_back(x.d);
    }
    entry.d = 0;
  }
  return rows;
}

}  // namespace

Numbers reference_values(const Problem& p, int layer) {
  Numbers all;
  for (const Numbers& sample : run(p, p.theta, layer)) all.insert(all.end(), sample.begin(), sample.end());
  return all;
}

double reference_loss(const Problem& p) { return total_loss(p, p.theta); }

Numbers reference_gradient(const Problem& p) {
  std::vector<Single> theta(p.theta.begin(), p.theta.end());
  Numbers g;
  for (Single& entry : theta) {
    entry.d = 1;
    g.push_back(total_loss(p, theta).d);
    entry.d = 0;
  }
  return g;
}

Numbers reference_product(const Problem& p, const Numbers& v) {
  std::vector<Nested> theta = nested(p);
  for (std::size_t i = 0; i < v.size(); ++i) theta[i].v.d = v[i];
  Numbers hv;
  for (Nested& entry : theta) {
    entry.d.v = 1;
    hv.push_back(total_loss(p, theta).d.d);
    entry.d.v = 0;
  }
  return hv;
}

Numbers reference_hessian(const Problem& p) {
  const std::size_t n = p.theta.size();
  Numbers h(n * n);
  std::vector<Nested> theta = nested(p);
  for (std::size_t i = 0; i < n; ++i) {
    theta[i].v.d = 1;
    for (std::size_t j = i; j < n; ++j) {
      theta[j].d.v = 1;
      h[i * n + j] = h[j * n + i] = total_loss(p, theta).d.d;
      theta[j].d.v = 0;
    }
    theta[i].v.d = 0;
  }
  return h;
}

Numbers reference_ggn(const Problem& p) {
  const std::size_t n = p.theta.size();
  const Layer& loss = p.net->layers[static_cast<std::size_t>(p.net->loss)];
  const auto outputs = run(p, p.theta, loss.in[0]), targets = run(p, p.theta, loss.in[1]);
  const auto jacobians = output_jacobians(p, loss.in[0]);
  Numbers g(n * n);
  for (std::size_t s = 0; s < outputs.size(); ++s) {
    const Numbers h = output_hessian(loss.kind, outputs[s], targets[s]);
    const std::vector<Numbers>& J = jacobians[s];
    const std::size_t c = J[0].size();
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t a = 0; a < c; ++a) {
        double left = 0;
        for (std::size_t b = 0; b < c; ++b) left += J[i][b] * h[b * c + a];
        for (std::size_t j = 0; j < n; ++j) g[i * n + j] += p.weights[s] * left * J[j][a];
      }
  }
  return g;
}

}  // namespace hso::test
