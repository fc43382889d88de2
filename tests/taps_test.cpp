// SPDX-License-Identifier: Apache-2.0
//
// Sums of shifted rows (elements/taps.hpp): the launcher walks rows tap by tap, the functor's call operator states one
// element. Both must be the same function, and the columns those of the definition. So must pools of windows side by
// side, which the CPU runs without taps.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

class TapsTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, TapsTest, testing::ValuesIn(test::contexts()), test::device_word);

TEST(RadixTest, NextIsSplitOfTheNextNumber) {
  const Radix<4> radix{{3, 1, 4}};
  Digits<4> at = radix.split(5);
  for (Index o = 5; o < 40; ++o, radix.next(at))
    for (int i = 0; i < 4; ++i) EXPECT_EQ(at[i], radix.split(o)[i]) << "digit " << i << " of " << o;
}

TEST(RadixTest, TapRangeHoldsExactlyTheIndicesInside) {
  for (Index step = 1; step <= 3; ++step)
    for (Index shift = -7; shift <= 7; ++shift)
      for (Index extent = 0; extent <= 6; ++extent) {
        const TapRange range = tap_range(5, step, shift, extent);
        for (Index j = 0; j < 5; ++j) {
          const bool inside = j * step + shift >= 0 && j * step + shift < extent;
          EXPECT_EQ(j >= range.begin && j < range.end, inside) << step << ' ' << shift << ' ' << extent << ' ' << j;
        }
      }
}

/// Two lanes of three images with two of their three channels.
ConvGeometry geometry(Index w, Index stride, Index pad, Index dilation) {
  ConvGeometry g{3, 2, 6, w, 2, 3, stride, stride, pad, pad, dilation, dilation};
  g.oh = (g.h + 2 * pad - dilation * (g.kh - 1) - 1) / stride + 1;
  g.ow = (g.w + 2 * pad - dilation * (g.kw - 1) - 1) / stride + 1;
  return g;
}

constexpr Index kLanes = 2, kImages = 3;

std::vector<ConvGeometry> geometries() {
  std::vector<ConvGeometry> list;
  for (Index w : {7, 530})  // a row longer than the launcher's tile
    for (Index stride : {1, 2, 3})
      for (Index dilation : {1, 2}) list.push_back(geometry(w, stride, dilation, dilation));
  return list;
}

double at_definition(const ConvGeometry& g, const std::vector<double>& x, Index o, Index ox) {
  const Index oy = o % g.oh, n = o / g.oh % kImages, r = o / (g.oh * kImages) % g.patch();
  const Index lane = o / (g.oh * kImages * g.patch()), c = r / (g.kw * g.kh);
  const Index iy = oy * g.stride_h - g.pad_h + r / g.kw % g.kh * g.dilation_h;
  const Index ix = ox * g.stride_w - g.pad_w + r % g.kw * g.dilation_w;
  if (iy < 0 || iy >= g.h || ix < 0 || ix >= g.w) return 0;
  return x[static_cast<std::size_t>(lane * kImages * g.image() + n * g.image() + (c * g.h + iy) * g.w + ix)];
}

TEST_P(TapsTest, ColumnsAreThoseOfTheDefinition) {
  for (const ConvGeometry& g : geometries()) {
    const Index rows = kLanes * g.patch() * kImages * g.oh;
    const std::vector<double> x = test::normal_numbers<double>(kLanes * kImages * g.image(), 1);
    Buffer<double> device_x(context(), Span<const double>(x)), cols(context(), rows * g.ow);
    context().ops<double>().for_each(rows, g.ow,
                                     Im2Col<double>{g, device_x.data(), kImages * g.image(), cols.data(), kImages});
    const std::vector<double> found = cols.download();
    for (Index o = 0; o < rows; ++o)
      for (Index i = 0; i < g.ow; ++i)
        ASSERT_EQ(found[static_cast<std::size_t>(o * g.ow + i)], at_definition(g, x, o, i)) << o << ' ' << i;
  }
}

/// for_each on the device against the call operator on the host, from the same random start.
template <class Make>
void expect_launch_is_the_formula(Context& context, Index rows, Index width, const std::vector<double>& in, Index size,
                                  const Make& make) {
  const std::vector<double> old = test::normal_numbers<double>(size, 2);
  for (const bool accumulate : {false, true}) {
    Buffer<double> source(context, Span<const double>(in)), out(context, Span<const double>(old));
    context.ops<double>().for_each(rows, width, make(source.data(), out.data(), accumulate));
    std::vector<double> expected = old;
    const auto f = make(in.data(), expected.data(), accumulate);
    for (Index o = 0; o < rows; ++o)
      for (Index i = 0; i < width; ++i) f(f.radix().split(o), i);
    const std::vector<double> found = out.download();
    for (std::size_t e = 0; e < found.size(); ++e)  // a dozen terms of size one, in another order
      ASSERT_NEAR(found[e], expected[e], 1e-13) << "entry " << e << ", accumulate " << accumulate;
  }
}

TEST_P(TapsTest, FoldingBackIsItsFormula) {
  for (const ConvGeometry& g : geometries()) {
    const Index cols = kLanes * g.patch() * kImages * g.pixels(), size = kLanes * kImages * g.image();
    expect_launch_is_the_formula(context(), kLanes * kImages * g.channels * g.h, g.w,
                                 test::normal_numbers<double>(cols, 3), size,
                                 [&](const double* in, double* out, bool accumulate) {
                                   return Col2Im<double>{g, in, out, kImages * g.image(), kImages, accumulate};
                                 });
  }
}

/// Windows of a size, a stride and a padding on 5 rows of `w`.
PoolGeometry windows(Index w, Index kernel, Index stride, Index pad) {
  const auto axis = [=](Index in) {
    return PoolAxis{in, (in + 2 * pad - kernel) / stride + 1, kernel, stride, pad, false};
  };
  return {axis(5), axis(w)};
}

TEST_P(TapsTest, BoxesAgreeWithTheGeneralPools) {
  const Index planes = 4;
  for (const PoolGeometry& g : {windows(7, 2, 2, 0), windows(7, 3, 2, 1), windows(530, 3, 1, 1), windows(9, 2, 3, 1)}) {
    const Index in = kLanes * planes * g.in(), out = kLanes * planes * g.out();
    const std::vector<double> x = test::normal_numbers<double>(in, 4), dy = test::normal_numbers<double>(out, 5);
    const auto compare = [&]<class Box, class General>(const std::vector<double>& from, Index from_stride,
                                                       Index to_stride, Index h, Index w) {
      Buffer<double> source(context(), Span<const double>(from)), box(context(), kLanes * to_stride),
          general(context(), kLanes * to_stride);
      auto& ops = context().ops<double>();
      const Index rows = kLanes * planes * h;
      ops.for_each(rows, w, Box{g, source.data(), from_stride, box.data(), to_stride, planes, false});
      ops.for_each(rows, w, General{g, source.data(), from_stride, general.data(), to_stride, planes, false});
      const std::vector<double> a = box.download(), b = general.download();
      for (std::size_t e = 0; e < a.size(); ++e) ASSERT_NEAR(a[e], b[e], 1e-14) << "entry " << e;
    };
    compare.template operator()<BoxMean<double>, AvgPoolValue<double>>(x, planes * g.in(), planes * g.out(), g.y.out,
                                                                       g.x.out);
    compare.template operator()<BoxSpread<double>, AvgPoolVjp<double>>(dy, planes * g.out(), planes * g.in(), g.y.in,
                                                                       g.x.in);
  }
}

/// Windows of two and of three, rows and columns left over, and others that overlap.
std::vector<PoolGeometry> window_kinds() {
  PoolGeometry uneven = windows(11, 2, 2, 0);
  uneven.y = {5, 1, 3, 3, 0, false};
  return {windows(7, 2, 2, 0), windows(8, 3, 3, 0), windows(530, 2, 2, 0), windows(7, 3, 2, 1), uneven};
}

TEST_P(TapsTest, AveragesOfWindowsAreTheirFormula) {
  const Index planes = 3;
  for (const PoolGeometry& g : window_kinds()) {
    const Index in = planes * g.in(), out = planes * g.out();
    expect_launch_is_the_formula(context(), kLanes * planes * g.y.out, g.x.out,
                                 test::normal_numbers<double>(kLanes * in, 6), kLanes * out,
                                 [&](const double* from, double* to, bool accumulate) {
                                   return BoxMean<double>{g, from, in, to, out, planes, accumulate};
                                 });
    expect_launch_is_the_formula(context(), kLanes * planes * g.y.in, g.x.in,
                                 test::normal_numbers<double>(kLanes * out, 7), kLanes * in,
                                 [&](const double* from, double* to, bool accumulate) {
                                   return BoxSpread<double>{g, from, out, to, in, planes, accumulate};
                                 });
  }
}

/// Numbers of few values, so that windows have ties, and some that are no numbers.
std::vector<double> values_with_ties(Index n) {
  std::vector<double> x = test::normal_numbers<double>(n, 8);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 13 == 5 ? std::nan("") : std::round(x[i]);
  return x;
}

TEST_P(TapsTest, MaximaOfWindowsAreTheirFormula) {
  const Index planes = 3;
  for (const PoolGeometry& g : window_kinds()) {
    const Index in = planes * g.in(), out = planes * g.out();
    const std::vector<double> x = values_with_ties(in);
    std::vector<double> y(static_cast<std::size_t>(out));
    std::vector<std::int32_t> where(y.size());
    const MaxPoolValue<double> formula{g, x.data(), y.data(), where.data()};
    for (Index o = 0; o < planes * g.y.out; ++o)
      for (Index i = 0; i < g.x.out; ++i) formula(formula.radix().split(o), i);

    Buffer<double> device_x(context(), Span<const double>(x)), device_y(context(), out);
    Buffer<std::int32_t> device_where(context(), out);
    context().ops<double>().for_each(planes * g.y.out, g.x.out,
                                     MaxPoolValue<double>{g, device_x.data(), device_y.data(), device_where.data()});
    EXPECT_EQ(device_where.download(), where);
    const std::vector<double> found = device_y.download();
    for (std::size_t e = 0; e < y.size(); ++e)
      EXPECT_TRUE(found[e] == y[e] || (std::isnan(found[e]) && std::isnan(y[e]))) << "entry " << e;

    const std::vector<double> dy = test::normal_numbers<double>(kLanes * out, 9);
    expect_launch_is_the_formula(context(), kLanes * planes * g.y.in, g.x.in, dy, kLanes * in,
                                 [&](const double* from, double* to, bool accumulate) {
                                   // The formula runs on the host, with the places there.
                                   const bool host = from == dy.data();
                                   return MaxPoolVjp<double>{
                                       g,         host ? where.data() : device_where.data(), from, out, to, in, planes,
                                       accumulate};
                                 });
  }
}

}  // namespace
}  // namespace hso
