// SPDX-License-Identifier: Apache-2.0
//
// First and second derivatives of the activations keep their relative accuracy wherever they are: against formulas in
// long double that take tails from e^-|x|.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "hsogpu/detail/ops.hpp"
#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;
using Wide = long double;

class ActivationTails : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, ActivationTails, testing::ValuesIn(test::contexts()), test::device_word);

/// A number and the sum of the sizes of its terms: near a zero of a derivative terms cancel, and no formula of x and y
/// knows better.
struct Exact {
  Wide value, size;
};
struct Derivatives {
  Exact first, second;
};
Exact one(Wide value) { return {value, std::fabs(value)}; }
Exact two(Wide a, Wide b) { return {a + b, std::fabs(a) + std::fabs(b)}; }

Wide falling(Wide x) { return std::exp(-std::fabs(x)); }
Wide step_of(Wide x) { return (x < 0 ? falling(x) : 1) / (1 + falling(x)); }
Wide bump(Wide x) { return falling(x) / ((1 + falling(x)) * (1 + falling(x))); }

Derivatives tanh_at(Wide x) { return {one(4 * bump(2 * x)), one(-8 * std::tanh(x) * bump(2 * x))}; }
Derivatives sigmoid_at(Wide x) { return {one(bump(x)), one(-bump(x) * std::tanh(x / 2))}; }
Derivatives softplus_at(Wide x) { return {one(step_of(x)), one(bump(x))}; }
Derivatives silu_at(Wide x) {
  return {two(step_of(x), x * bump(x)), two(2 * bump(x), -x * bump(x) * std::tanh(x / 2))};
}
Derivatives gelu_at(Wide x) {
  const Wide density = 0.398942280401432677939946L * std::exp(-x * x / 2);
  return {two(std::erfc(-x * 0.707106781186547524400844L) / 2, x * density), two(2 * density, -x * x * density)};
}
Derivatives elu_at(Wide alpha, Wide x) {
  const Wide e = alpha * falling(x);
  return {one(x > 0 ? 1 : e), one(x > 0 ? 0 : e)};
}

template <class T>
std::vector<T> inputs() {
  std::vector<T> out;
  for (double x = 1e-6; x < 700; x *= 1.07) out.insert(out.end(), {static_cast<T>(x), static_cast<T>(-x)});
  for (double x = -700; x <= 700; x += 0.83) out.push_back(static_cast<T>(x));
  return out;
}

/// |got - want| over the size of want. e^-|x| is 0 below the normal numbers, and so is what is up to x^2 times that.
template <class T>
void expect_close(const std::vector<T>& x, const std::vector<T>& got, const std::function<Exact(Wide)>& want,
                  const char* name) {
  const Wide floor = 2000 * static_cast<Wide>(std::numeric_limits<T>::min()),
             tolerance = sizeof(T) == 8 ? 1e-13L : 1e-6L;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Exact exact = want(static_cast<Wide>(x[i]));
    const Wide error = std::fabs(static_cast<Wide>(got[i]) - exact.value);
    ASSERT_TRUE(error <= tolerance * exact.size || (exact.size < floor && error < floor))
        << name << " at " << x[i] << ": " << got[i] << ", expected " << exact.value;
  }
}

template <class T, class F>
void check(Context& context, const F& f, const std::function<Derivatives(Wide)>& exact, const char* name) {
  const std::vector<T> x = inputs<T>(), ones(x.size(), T(1));
  const auto n = static_cast<Index>(x.size());
  Buffer<T> at(context, x), one(context, ones), y(context, n), first(context, n), second(context, n), both(context, n);
  auto& ops = context.ops<T>();
  ops.for_each(1, n, ActivationValue<T, F>{f, at.data(), y.data()});
  ops.for_each(1, n, ActivationFirst<T, F>{f, at.data(), y.data(), one.data(), n, first.data(), n, false});
  ops.for_each(1, n,
               ActivationSecond<T, F>{f, at.data(), y.data(), one.data(), one.data(), n, second.data(), n, false});
  ops.for_each(1, n,
               ActivationReverse<T, F>{f, at.data(), y.data(), one.data(), one.data(), n, one.data(), one.data(), n,
                                       both.data(), n, false, false});
  expect_close<T>(
      x, first.download(), [&](Wide v) { return exact(v).first; }, name);
  expect_close<T>(
      x, second.download(), [&](Wide v) { return exact(v).second; }, name);
  expect_close<T>(
      x, both.download(),
      [&](Wide v) {
        const Derivatives d = exact(v);
        return Exact{d.first.value + d.second.value, d.first.size + d.second.size};
      },
      name);
}

TEST_P(ActivationTails, DerivativesKeepTheirDigits) {
  test::for_types([&]<class T>() {
    check<T>(context(), Tanh{}, tanh_at, "tanh");
    check<T>(context(), Sigmoid{}, sigmoid_at, "sigmoid");
    check<T>(context(), Softplus{}, softplus_at, "softplus");
    check<T>(context(), Silu{}, silu_at, "silu");
    check<T>(context(), Gelu{}, gelu_at, "gelu");
    check<T>(
        context(), Elu{0.7}, [](Wide x) { return elu_at(static_cast<Wide>(static_cast<T>(0.7)), x); }, "elu");
  });
}

TEST(ActivationTailsOf, KnownNumbers) {
  const auto first = [](const auto& f, auto x) { return static_cast<double>(f.d1(x, f.value(x))); };
  EXPECT_NEAR(first(Sigmoid{}, 40.0) / 4.248354255291589e-18, 1, 1e-14);
  EXPECT_NEAR(first(Sigmoid{}, -40.0) / 4.248354255291589e-18, 1, 1e-14);
  EXPECT_NEAR(first(Tanh{}, 20.0) / 1.699341702116636e-17, 1, 1e-14);
  EXPECT_NEAR(first(Elu{}, -40.0) / 4.248354255291589e-18, 1, 1e-14);
  EXPECT_NEAR(first(Sigmoid{}, 20.0f) / 2.0611536139418492e-9, 1, 5e-7);
  EXPECT_NEAR(first(Tanh{}, 10.0f) / 8.244614455767397e-9, 1, 5e-7);
  for (double end : {-INFINITY, INFINITY}) {
    EXPECT_EQ(first(Sigmoid{}, end), 0);
    EXPECT_EQ(first(Tanh{}, end), 0);
  }
  EXPECT_TRUE(std::isnan(first(Sigmoid{}, std::nan(""))));
  EXPECT_TRUE(std::isnan(first(Tanh{}, std::nan(""))));
}

}  // namespace
}  // namespace hso
