// SPDX-License-Identifier: Apache-2.0
//
// The compact inverse of limited-memory BFGS against its definition, one update after the other.
#include "optim/quasi_newton/lbfgs_inverse.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/cases.hpp"
#include "support/contexts.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

using detail::LbfgsInverse;

class LbfgsInverseTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LbfgsInverseTest, testing::ValuesIn(contexts()), device_word);

constexpr Index kN = 7, kMemory = 4;

double inner(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
Numbers plus(const Numbers& a, double factor, const Numbers& b) {
  Numbers out = a;
  for (std::size_t i = 0; i < a.size(); ++i) out[i] += factor * b[i];
  return out;
}
Numbers times(const Numbers& matrix, const Numbers& v) {
  Numbers out(v.size());
  for (std::size_t i = 0; i < v.size(); ++i)
    for (std::size_t j = 0; j < v.size(); ++j) out[i] += matrix[i * v.size() + j] * v[j];
  return out;
}

struct Pair {
  Numbers s, y;
};

/// H v with H <- (I - s y'/s'y) H (I - y s'/s'y) + s s'/s'y for the pairs from the oldest to the newest, the last of
/// `count`.
Numbers by_definition(const std::vector<Pair>& pairs, std::size_t count, double gamma, const Numbers& v) {
  if (count == 0) {
    Numbers out = v;
    for (double& x : out) x *= gamma;
    return out;
  }
  const Pair& p = pairs[count - 1];
  const double sy = inner(p.s, p.y), along = inner(p.s, v) / sy;
  const Numbers inside = by_definition(pairs, count - 1, gamma, plus(v, -along, p.y));
  return plus(plus(inside, -inner(p.y, inside) / sy, p.s), along, p.s);
}

template <class T>
void write(Context& context, const Numbers& numbers, T* row) {
  const std::vector<T> narrow(numbers.begin(), numbers.end());
  context.to_device(narrow.data(), row, kN * static_cast<Index>(sizeof(T)));
}

/// Row i holds pair i; of a place that was used before the last pair is what counts.
template <class T>
void give(Context& context, LbfgsInverse<T>& inverse, const std::vector<Pair>& pairs, double delta) {
  Index i = 0;
  for (const Pair& p : pairs) {
    write(context, p.s, inverse.s(++i));
    write(context, p.y, inverse.y(i));
  }
  inverse.keep(i, delta);
}

template <class T>
Numbers applied(Context& context, LbfgsInverse<T>& inverse, const Numbers& v) {
  Buffer<T> from(context, kN), to(context, kN);
  write(context, v, from.data());
  inverse.apply(vector_view<const T>(from.data(), kN), to.view());
  const std::vector<T> out = to.download();
  return {out.begin(), out.end()};
}

/// Pairs come from two solves with dampings of their own, three each, and serve a third damping.
TEST_P(LbfgsInverseTest, IsThatOfItsUpdates) {
  for_types([&]<class T>() {
    const double tolerance = sizeof(T) == 8 ? 1e-12 : 2e-4;
    const SymmetricCase a = with_spectrum("curvature", {0.05, 0.2, 1, 2, 3, 5, 8}, 3);
    std::vector<Pair> first, second, counted;
    for (unsigned k = 0; k < 6; ++k) {
      const Numbers s = random_numbers(kN, 20 + k);
      const Numbers as = times(a.matrix, s);
      (k < 3 ? first : second).push_back({s, plus(as, k < 3 ? 0.3 : 0.7, s)});
      if (k % 3 != 0) counted.push_back({s, plus(as, 0.1, s)});  // two of each solve stay
    }
    LbfgsInverse<T> inverse(kMemory);
    inverse.make_room(context(), kN);
    EXPECT_FALSE(inverse.renew(0.1)) << "no pairs yet";
    give(context(), inverse, first, 0.3);
    give(context(), inverse, second, 0.7);
    ASSERT_TRUE(inverse.renew(0.1));
    const Pair& newest = counted.back();
    const double gamma = inner(newest.s, newest.y) / inner(newest.y, newest.y);
    const Numbers v = random_numbers(kN, 5);
    const Numbers got = applied(context(), inverse, v), want = by_definition(counted, counted.size(), gamma, v);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance * std::sqrt(inner(want, want)));
    // The secant equation of the newest pair.
    const Numbers back = applied(context(), inverse, newest.y);
    for (std::size_t i = 0; i < back.size(); ++i)
      EXPECT_NEAR(back[i], newest.s[i], tolerance * std::sqrt(inner(back, back)));
    inverse.clear();
    EXPECT_FALSE(inverse.renew(0.1));
  });
}

TEST_P(LbfgsInverseTest, LeavesOutPairsWithoutCurvature) {
  for_types([&]<class T>() {
    LbfgsInverse<T> inverse(kMemory);
    inverse.make_room(context(), kN);
    const Numbers s = random_numbers(kN, 1), none(kN, 0.0);
    give(context(), inverse, {{s, plus(none, -1, s)}, {none, none}}, 0);
    EXPECT_FALSE(inverse.renew(0)) << "negative and no curvature";
    const Numbers t = random_numbers(kN, 2);
    give(context(), inverse, {{t, plus(none, 4, t)}}, 0);
    ASSERT_TRUE(inverse.renew(0));
    const Numbers got = applied(context(), inverse, s);  // 4 I has one inverse
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], s[i] / 4, sizeof(T) == 8 ? 1e-14 : 1e-6);
    // The damping of -I is what its pair lacked: 2 of it make I.
    ASSERT_TRUE(inverse.renew(2));
  });
}

}  // namespace
}  // namespace hso::test
