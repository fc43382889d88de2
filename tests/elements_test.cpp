// SPDX-License-Identifier: Apache-2.0
//
// Random numbers and elementary functions, as the launcher runs them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

class ElementsTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, ElementsTest, testing::ValuesIn(test::contexts()), test::device_word);

TEST(PhiloxTest, PublishedKnownAnswers) {  // Random123's kat_vectors, philox4x32 with 10 rounds
  struct Case {
    std::uint64_t seed, stream, counter;
    std::uint32_t expected[4];
  };
  const std::uint64_t ones = ~std::uint64_t{0};
  const Case cases[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {ones, ones, ones, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Case& c : cases) {
    const Philox4 block = philox(c.seed, c.stream, c.counter);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(block.v[i], c.expected[i]) << "word " << i << " of seed " << c.seed;
  }
}

struct Moments {
  double mean = 0, second = 0, fourth = 0, lag = 0;
};

template <class T>
Moments moments(Context& context, Distribution distribution, Index n) {
  Buffer<T> x(context, n);
  context.ops<T>().for_each(1, n, RandomFill<T>{x.data(), 7, 3, distribution, 0.0, 1.0});
  Moments m;
  double before = 0;
  for (T value : x.download()) {
    const double v = static_cast<double>(value), d = static_cast<double>(n);
    m.mean += v / d;
    m.second += v * v / d;
    m.fourth += v * v * v * v / d;
    m.lag += v * before / d;
    before = v;
  }
  return m;
}

// Five standard errors of each moment; the seed is fixed, so these either hold or the generator changed.
TEST_P(ElementsTest, RandomFillHasItsMoments) {
  test::for_types([&]<class T>() {
    const Index n = 200001;
    const double five = 5 / std::sqrt(static_cast<double>(n));
    const Moments normal = moments<T>(context(), Distribution::normal, n);
    EXPECT_NEAR(normal.mean, 0, five);
    EXPECT_NEAR(normal.second, 1, five * std::sqrt(2.0));
    EXPECT_NEAR(normal.fourth, 3, five * std::sqrt(96.0));
    EXPECT_NEAR(normal.lag, 0, five);
    const Moments uniform = moments<T>(context(), Distribution::uniform, n);
    EXPECT_NEAR(uniform.mean, 0.5, five * std::sqrt(1.0 / 12));
    EXPECT_NEAR(uniform.second, 1.0 / 3, five * std::sqrt(4.0 / 45));
    const Moments sign = moments<T>(context(), Distribution::rademacher, n);
    EXPECT_NEAR(sign.mean, 0, five);
    EXPECT_NEAR(sign.lag, 0, five);
    EXPECT_NEAR(sign.second, 1, 1e-10);
  });
}

TEST_P(ElementsTest, RandomFillShiftsScalesAndMovesWithItsStream) {
  const Index n = 1001;
  Buffer<double> a(context(), n), b(context(), n), c(context(), n);
  auto& ops = context().ops<double>();
  ops.for_each(1, n, RandomFill<double>{a.data(), 1, 2, Distribution::normal, 0.0, 1.0});
  ops.for_each(1, n, RandomFill<double>{b.data(), 1, 2, Distribution::normal, 5.0, 3.0});
  ops.for_each(1, n, RandomFill<double>{c.data(), 1, 4, Distribution::normal, 0.0, 1.0});
  const auto ha = a.download(), hb = b.download(), hc = c.download();
  for (std::size_t i = 0; i < ha.size(); ++i) {
    EXPECT_DOUBLE_EQ(hb[i], std::fma(3.0, ha[i], 5.0));
    EXPECT_NE(ha[i], hc[i]);
  }
}

/// Distance in units of the last place of `exact` as a T.
template <class T>
double ulps(T got, long double exact) {
  const T rounded = static_cast<T>(exact);
  if (got == rounded || (std::isnan(got) && std::isnan(rounded))) return 0;
  const T size = std::max(std::abs(rounded), std::numeric_limits<T>::min());
  const T unit = std::nextafter(size, std::numeric_limits<T>::infinity()) - size;
  return static_cast<double>(std::abs(static_cast<long double>(got) - exact) / static_cast<long double>(unit));
}

template <class T>
std::vector<T> arguments(double low, double high) {
  const int steps = 20011;
  std::vector<T> x;
  for (int i = 0; i <= steps; ++i) x.push_back(static_cast<T>(low + (high - low) * i / steps));
  for (double small = 1e-30; small < 1; small *= 3.7) {
    if (low < 0) x.push_back(static_cast<T>(-small));
    if (high > 0) x.push_back(static_cast<T>(small));
  }
  return x;
}

/// The worst distance of an activation, through the launcher, from a long double formula.
template <class T, class F, class Exact, class Tolerance>
void expect_close(Context& context, double low, double high, const Tolerance& tolerance, const Exact& exact) {
  const std::vector<T> x = arguments<T>(low, high);
  Buffer<T> in(context, x), out(context, static_cast<Index>(x.size()));
  context.ops<T>().for_each(1, in.size(), ActivationValue<T, F>{F{}, in.data(), out.data()});
  const std::vector<T> y = out.download();
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_LE(ulps(y[i], exact(static_cast<long double>(x[i]))), tolerance(static_cast<double>(x[i])))
        << "at x = " << x[i] << ", got " << y[i];
}

TEST_P(ElementsTest, ActivationsAreWithinAFewUlpsOfLibm) {
  const auto few = [](double) { return 4.0; };
  const auto conditioned = [](double x) { return 6 + x * x; };  // x erfc'(x) / erfc(x) grows like 2 x^2
  test::for_types([&]<class T>() {
    expect_close<T, Tanh>(context(), -30, 30, few, [](long double x) { return std::tanh(x); });
    expect_close<T, Sigmoid>(context(), -80, 80, few, [](long double x) { return 1 / (1 + std::exp(-x)); });
    expect_close<T, Elu>(context(), -80, 30, few, [](long double x) { return x > 0 ? x : std::expm1(x); });
    expect_close<T, Softplus>(context(), -80, 80, few,
                              [](long double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); });
    expect_close<T, Gelu>(context(), -5, 30, conditioned,
                          [](long double x) { return x * std::erfc(-x * std::sqrt(0.5L)) / 2; });
  });
}

TEST(MathTest, ErfcAndLog1pAreWithinAFewUlps) {
  test::for_types([]<class T>() {
    for (T x : arguments<T>(-6, sizeof(T) == 8 ? 26 : 9))
      ASSERT_LE(ulps(erfc_of(x), std::erfc(static_cast<long double>(x))), 6) << "at x = " << x;
    for (T x : arguments<T>(0, 1))
      ASSERT_LE(ulps(log1p_unit(x), std::log1p(static_cast<long double>(x))), 3) << "at x = " << x;
  });
}

TEST(MathTest, ExpCoversItsRangeAndItsEdges) {
  test::for_types([]<class T>() {
    using R = ExpRange<T>;
    for (T x : arguments<T>(R::kLowest, R::kHighest))
      ASSERT_LE(ulps(exp_of(x), std::exp(static_cast<long double>(x))), 2) << "at x = " << x;
    const T infinity = std::numeric_limits<T>::infinity();
    EXPECT_EQ(exp_of(infinity), infinity);
    EXPECT_EQ(exp_of(-infinity), 0);
    EXPECT_TRUE(std::isnan(exp_of(std::numeric_limits<T>::quiet_NaN())));
    EXPECT_EQ(exp_of(T(0)), 1);
    EXPECT_EQ(expm1_of(-infinity), -1);
    EXPECT_EQ(tanh_of(infinity), 1);
    EXPECT_EQ(tanh_of(-infinity), -1);
    EXPECT_EQ(logistic(-infinity), 0);
    EXPECT_EQ(erfc_of(infinity), 0);
    EXPECT_EQ(erfc_of(-infinity), 2);
    EXPECT_TRUE(std::isnan(erfc_of(std::numeric_limits<T>::quiet_NaN())));
    EXPECT_TRUE(std::isnan(tanh_of(std::numeric_limits<T>::quiet_NaN())));
  });
}

// Every element exactly once, whatever the shape of the launch and the split over threads.
TEST_P(ElementsTest, LaunchesCoverEveryElementOnce) {
  for (const auto& [outer, inner] : std::vector<std::pair<Index, Index>>{
           {0, 5}, {5, 0}, {1, 1}, {1, 100003}, {100003, 1}, {3, 40001}, {40001, 3}, {257, 255}}) {
    const Index n = outer * inner;
    Buffer<double> x(context(), std::max<Index>(n, 1));
    context().ops<double>().fill(n, 1.0, x.data());
    context().ops<double>().for_each(outer, inner, Axpby<double>{2, x.data(), inner, 1, x.data(), inner});
    const std::vector<double> host = x.download();
    for (Index i = 0; i < n; ++i) ASSERT_EQ(host[static_cast<std::size_t>(i)], 3.0) << outer << " x " << inner;
  }
}

TEST_P(ElementsTest, OverwritingNeverReads) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Buffer<double> x(context(), std::vector<double>{1, 2, 3}), y(context(), std::vector<double>{nan, nan, nan});
  auto& ops = context().ops<double>();
  ops.axpby(3, 2, x.data(), 0, y.data());
  EXPECT_EQ(y.download(), (std::vector<double>{2, 4, 6}));
  ops.fill(3, nan, y.data());
  ops.for_each(1, 3, Scale<double>{x.data(), x.data(), 3, y.data(), 3, false});
  EXPECT_EQ(y.download(), (std::vector<double>{1, 4, 9}));
  ops.for_each(1, 3, Scale<double>{x.data(), x.data(), 3, y.data(), 3, true});
  EXPECT_EQ(y.download(), (std::vector<double>{2, 8, 18}));
}

}  // namespace
}  // namespace hso
