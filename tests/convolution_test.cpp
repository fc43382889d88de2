// SPDX-License-Identifier: Apache-2.0
//
// The products of a convolution (detail/convolutions.hpp): by columns on every device, and by the loops of every kind
// of processor that this one can stand in for, against the definition.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/blas_threads.hpp"
#include "backend/cpu_convolutions.hpp"
#include "graph/convolution_by_columns.hpp"
#include "support/contexts.hpp"

namespace hso::test {
namespace {

using namespace detail;

class ConvolutionTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, ConvolutionTest, testing::ValuesIn(contexts()), device_word);

struct Layer {
  const char* name;
  Index channels, h, w, kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, out, images, lanes;

  ConvolutionSizes sizes() const {
    ConvGeometry g{groups * channels, channels, h, w, kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w};
    g.oh = (h + 2 * pad_h - dilation_h * (kh - 1) - 1) / stride_h + 1;
    g.ow = (w + 2 * pad_w - dilation_w * (kw - 1) - 1) / stride_w + 1;
    return {g, groups, out, images, lanes};
  }
};

/// Kernels of one row and of one number, padding beyond the kernel, pixels that no output sees, more outputs than the
/// loops take at once, and images that no chunk of them divides.
std::vector<Layer> layers() {
  return {{"lenet_first", 1, 28, 28, 5, 5, 1, 1, 2, 2, 1, 1, 1, 6, 3, 1},
          {"three_lanes", 3, 9, 11, 3, 3, 1, 1, 1, 1, 1, 1, 1, 13, 19, 3},
          {"batch_of_one", 3, 5, 7, 2, 4, 1, 1, 0, 0, 1, 1, 1, 5, 1, 1},
          {"wide_padding", 2, 4, 3, 2, 1, 1, 1, 3, 2, 1, 1, 1, 2, 2, 1},
          {"strides", 2, 11, 10, 3, 2, 2, 3, 1, 1, 1, 1, 1, 7, 5, 3},
          {"stride_beyond_the_kernel", 1, 8, 9, 1, 2, 3, 4, 0, 0, 1, 1, 1, 3, 4, 1},
          {"dilation", 3, 12, 13, 3, 2, 1, 1, 2, 1, 3, 2, 1, 4, 3, 1},
          {"stride_padding_dilation", 2, 13, 9, 2, 3, 2, 3, 2, 4, 3, 2, 2, 3, 4, 2},
          {"depthwise", 1, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1, 4, 1, 3, 1},
          {"one_pixel", 5, 3, 4, 1, 1, 1, 1, 0, 0, 1, 1, 1, 8, 2, 1},
          {"rows", 2, 1, 37, 1, 5, 1, 2, 0, 3, 1, 1, 1, 3, 2, 1}};
}

/// Calls body(lane, flat positions of y, x and w) for every product of numbers that a convolution sums.
template <class Body>
void each_product(const ConvolutionSizes& s, const Body& body) {
  const ConvGeometry& g = s.g;
  for (Index i = 0; i < s.images * s.groups * s.out * g.pixels(); ++i) {
    const Index ox = i % g.ow, oy = i / g.ow % g.oh, channel = i / g.pixels() % (s.groups * s.out);
    const Index image = i / (g.pixels() * s.groups * s.out), group = channel / s.out;
    for (Index k = 0; k < g.patch(); ++k) {
      const Index iy = oy * g.stride_h - g.pad_h + k / g.kw % g.kh * g.dilation_h;
      const Index ix = ox * g.stride_w - g.pad_w + k % g.kw * g.dilation_w;
      if (iy < 0 || iy >= g.h || ix < 0 || ix >= g.w) continue;
      const Index c = group * g.channels + k / (g.kw * g.kh);
      body(i, image * g.image() + (c * g.h + iy) * g.w + ix, channel * g.patch() + k);
    }
  }
}

/// Operands of two terms, of which the first has an own image in every lane and the second an own weight.
template <class T>
struct Operands {
  explicit Operands(const ConvolutionSizes& sizes)
      : s(sizes),
        x_size(s.images * s.g.image()),
        y_size(s.images * s.groups * s.out * s.g.pixels()),
        w_size(s.groups * s.out * s.g.patch()),
        x(normal_numbers<T>(s.lanes * x_size, 1)),
        y(normal_numbers<T>(s.lanes * y_size, 2)),
        w(normal_numbers<T>(s.lanes * w_size, 3)),
        bias(normal_numbers<T>(s.lanes * s.groups * s.out, 4)) {}
  ConvolutionSizes s;
  Index x_size, y_size, w_size;
  std::vector<T> x, y, w, bias;
};

struct Sum {
  double value = 0, size = 0, terms = 0;  ///< size: of all terms without their signs
  void add(double term) {
    value += term;
    size += std::abs(term);
    ++terms;
  }
};

/// n terms summed in any order end within n eps of their sizes.
template <class T>
void expect_sums(const std::vector<T>& found, const std::vector<Sum>& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i].value,
                expected[i].terms * static_cast<double>(std::numeric_limits<T>::epsilon()) * expected[i].size)
        << what << ", entry " << i;
}

enum class Product { convolve, spread, correlate };

/// What `product` gives of both terms, added to `old` where `accumulate`.
template <class T>
std::vector<Sum> definition(const Operands<T>& o, Product product, bool accumulate, const std::vector<T>& old) {
  const ConvolutionSizes& s = o.s;
  std::vector<Sum> sums(old.size());
  for (std::size_t i = 0; accumulate && i < old.size(); ++i) sums[i].add(static_cast<double>(old[i]));
  const auto add = [&](Index to, double term) { sums[static_cast<std::size_t>(to)].add(term); };
  const auto at = [](const std::vector<T>& v, Index i) { return static_cast<double>(v[static_cast<std::size_t>(i)]); };
  for (Index lane = 0; lane < s.lanes; ++lane) {
    each_product(s, [&](Index y, Index x, Index w) {
      const Index own_x = lane * o.x_size + x, own_y = lane * o.y_size + y, own_w = lane * o.w_size + w;
      if (product == Product::convolve)
        add(own_y, at(o.x, own_x) * at(o.w, w)), add(own_y, at(o.x, x) * at(o.w, own_w));
      if (product == Product::spread) add(own_x, at(o.y, own_y) * at(o.w, w)), add(own_x, at(o.y, y) * at(o.w, own_w));
      if (product == Product::correlate)
        add(own_w, at(o.y, own_y) * at(o.x, x)), add(own_w, at(o.y, y) * at(o.x, own_x));
    });
    const Index channels = s.groups * s.out;
    for (Index y = 0; product == Product::convolve && y < o.y_size; ++y)
      add(lane * o.y_size + y, at(o.bias, lane * channels + y / s.g.pixels() % channels));
  }
  return sums;
}

/// The same by `by`, from numbers on the device.
template <class T>
std::vector<T> result(Context& context, Convolutions<T>& by, const Operands<T>& o, Product product, bool accumulate,
                      const std::vector<T>& old) {
  const auto on_device = [&](const std::vector<T>& v) { return Buffer<T>(context, Span<const T>(v)); };
  const Buffer<T> x = on_device(o.x), y = on_device(o.y), w = on_device(o.w), bias = on_device(o.bias);
  Buffer<T> to = on_device(old);
  const auto own = [](const Buffer<T>& b, Index size) { return InLanes<const T>{b.data(), size}; };
  const auto shared = [](const Buffer<T>& b) { return InLanes<const T>{b.data(), 0}; };
  const auto call = [&](const ConvolutionTerm<T>& one, const ConvolutionTerm<T>& two, Index size) {
    const ConvolutionTerm<T> terms[] = {one, two};
    const ConvolutionResult<T> into{{to.data(), size}, accumulate};
    if (product == Product::convolve) by.convolve(o.s, terms, own(bias, o.s.groups * o.s.out), into);
    if (product == Product::spread) by.spread(o.s, terms, into);
    if (product == Product::correlate) by.correlate(o.s, terms, into);
  };
  if (product == Product::convolve) call({own(x, o.x_size), shared(w)}, {shared(x), own(w, o.w_size)}, o.y_size);
  if (product == Product::spread) call({own(y, o.y_size), shared(w)}, {shared(y), own(w, o.w_size)}, o.x_size);
  if (product == Product::correlate) call({own(y, o.y_size), shared(x)}, {shared(y), own(x, o.x_size)}, o.w_size);
  return to.download();
}

template <class T>
void expect_definition(Context& context, Convolutions<T>& by, const std::string& name) {
  for (const Layer& layer : layers()) {
    const Operands<T> o(layer.sizes());
    EXPECT_TRUE(by.takes(o.s)) << layer.name;
    for (const bool accumulate : {false, true})
      for (const auto& [product, size, word] : {std::tuple{Product::convolve, o.y_size, "convolve"},
                                                {Product::spread, o.x_size, "spread"},
                                                {Product::correlate, o.w_size, "correlate"}}) {
        const std::vector<T> old = normal_numbers<T>(o.s.lanes * size, 5);
        expect_sums(result(context, by, o, product, accumulate, old), definition(o, product, accumulate, old),
                    name + " " + word + " of " + layer.name + (accumulate ? ", added" : ""));
      }
  }
}

TEST_P(ConvolutionTest, ColumnsGiveTheDefinition) {
  ConvolutionByColumns<float> narrow(context().ops<float>());
  ConvolutionByColumns<double> wide(context().ops<double>());
  expect_definition(context(), narrow, "float");
  expect_definition(context(), wide, "double");
}

template <class T>
void expect_all_kernels(Context& context) {
  for (const ConvolutionKernels<T>& kernels : convolution_kernels<T>()) {
    CpuConvolutions<T> by(context, 1 << 20, kernels);
    expect_definition(context, by, kernels.name);
  }
}
TEST(CpuConvolutions, KernelsOfEveryProcessorGiveTheDefinition) {
  const auto context = Context::create("cpu");
  expect_all_kernels<float>(*context);
  expect_all_kernels<double>(*context);
}

TEST(CpuConvolutions, ResultsAreTheSameForEveryNumberOfThreads) {
  const auto context = Context::create("cpu");
  CpuConvolutions<float> by(*context, 1 << 20);
  const Operands<float> o(Layer{"large", 3, 20, 17, 3, 3, 1, 1, 1, 1, 1, 1, 1, 8, 37, 2}.sizes());
  for (const auto& [product, size] :
       {std::pair{Product::convolve, o.y_size}, {Product::spread, o.x_size}, {Product::correlate, o.w_size}}) {
    const std::vector<float> old = normal_numbers<float>(o.s.lanes * size, 5);
    const auto with = [&, product = product](int threads) {
      const BlasThreads set(threads);
      return result<float>(*context, by, o, product, true, old);
    };
    const auto one = with(1);
    for (int threads : {2, 3, 5}) EXPECT_EQ(with(threads), one) << threads << " threads";
  }
}

TEST(CpuConvolutions, LargeLayersAreLeftToMatrixProducts) {
  const auto context = Context::create("cpu");
  const CpuConvolutions<float> by(*context, 1 << 20);
  const auto layer = [](Index channels, Index side) {
    return Layer{"", channels, side, side, 3, 3, 1, 1, 1, 1, 1, 1, 1, channels, 1, 1}.sizes();
  };
  EXPECT_TRUE(by.takes(layer(32, 16)));
  EXPECT_FALSE(by.takes(layer(512, 4))) << "weights";
  EXPECT_FALSE(by.takes(layer(4, 512))) << "images";
}

}  // namespace
}  // namespace hso::test
