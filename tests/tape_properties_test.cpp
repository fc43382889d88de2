// SPDX-License-Identifier: Apache-2.0
//
// What must hold for every graph, whatever its derivatives are: symmetry, linearity, lanes, blocks, sums over the
// batch.
#include <gtest/gtest.h>

#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

constexpr Curvature kBoth[] = {Curvature::hessian, Curvature::ggn};

class TapeProperties : public OnDevice {
 protected:
  /// body(case, run) in both types for every case.
  template <class F>
  void for_cases(Index lanes, const F& body) {
    for (const Case& c : cases()) {
      SCOPED_TRACE(c.name + ", seed " + std::to_string(c.seed));
      for_types([&]<class T>() {
        Runner<T> run(context(), c, lanes);
        run.linearize();
        body(c, run);
      });
    }
  }
};

template <class T>
constexpr double tolerance_of(const Runner<T>&) {
  return rounding_tolerance<T>();
}

template <class R>
Numbers directions(const R& run, std::size_t k, std::uint64_t seed) {
  return random_numbers(k * static_cast<std::size_t>(run.n()), seed);
}
Numbers lane(const Numbers& v, std::size_t k, Index n) {
  const auto first = v.begin() + static_cast<std::ptrdiff_t>(k) * n;
  return {first, first + n};
}
double norm(const Numbers& v) { return std::sqrt(dot(v, v)); }
Numbers combine(double a, const Numbers& x, double b, const Numbers& y) {
  Numbers out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = a * x[i] + b * y[i];
  return out;
}

TEST_P(TapeProperties, ProductsAreSymmetricAndTheGaussNewtonMatrixIsNotNegative) {
  for_cases(2, [](const Case& c, auto& run) {
    const Numbers u = directions(run, 1, c.seed), v = directions(run, 1, c.seed + 1);
    for (Curvature kind : kBoth) {
      const Numbers au = run.product(kind, u), av = run.product(kind, v);
      EXPECT_NEAR(dot(u, av), dot(v, au), tolerance_of(run) * norm(u) * norm(av));
    }
    const Numbers gu = run.product(Curvature::ggn, u);
    EXPECT_GE(dot(u, gu), -tolerance_of(run) * norm(u) * norm(gu));
  });
}

TEST_P(TapeProperties, DenseMatricesAreSymmetricWithoutBeingMadeSo) {
  for_cases(17, [](const Case&, auto& run) {
    const double allowed = tolerance_of(run) > 1e-8 ? 1e-5 : 1e-12;
    for (Curvature kind : kBoth) EXPECT_LT(asymmetry(run.dense_by_products(kind)), allowed);
  });
}

TEST_P(TapeProperties, DenseRowsAreProductsWithUnitVectors) {
  for_cases(5, [](const Case&, auto& run) {
    for (Curvature kind : kBoth) EXPECT_TRUE(close(run.dense(kind), run.dense_by_products(kind), tolerance_of(run)));
  });
}

TEST_P(TapeProperties, ProductsAreLinear) {
  for_cases(1, [](const Case& c, auto& run) {
    const Numbers u = directions(run, 1, c.seed), v = directions(run, 1, c.seed + 1);
    for (Curvature kind : kBoth) {
      const Numbers au = run.product(kind, u), av = run.product(kind, v);
      const Numbers want = combine(2, au, -0.5, av);
      const double scale = 2 * largest(au) + largest(av);
      EXPECT_TRUE(close(run.product(kind, combine(2, u, -0.5, v)), want, tolerance_of(run), scale));
      EXPECT_EQ(largest(run.product(kind, Numbers(u.size()))), 0);
    }
  });
}

TEST_P(TapeProperties, LanesAreIndependent) {
  for_cases(17, [](const Case& c, auto& run) {
    const Numbers v = directions(run, 17, c.seed);
    for (Curvature kind : kBoth) {
      const Numbers together = run.product(kind, v);
      const Numbers three = run.product(kind, {v.begin(), v.begin() + 3 * run.n()});
      for (std::size_t k = 0; k < 17; ++k) {
        const Numbers alone = run.product(kind, lane(v, k, run.n()));
        ASSERT_TRUE(close(lane(together, k, run.n()), alone, tolerance_of(run))) << "lane " << k << " of 17";
        if (k >= 3) continue;
        ASSERT_TRUE(close(lane(three, k, run.n()), alone, tolerance_of(run))) << "lane " << k << " of 3";
      }
    }
  });
}

TEST_P(TapeProperties, MoreDirectionsThanLanesAreCutIntoPieces) {
  for_cases(4, [](const Case& c, auto& run) {
    const Numbers v = directions(run, 9, c.seed);
    Numbers pieces;
    for (std::size_t k = 0; k < 9; ++k) {
      const Numbers one = run.product(Curvature::hessian, lane(v, k, run.n()));
      pieces.insert(pieces.end(), one.begin(), one.end());
    }
    EXPECT_TRUE(close(run.product(Curvature::hessian, v), pieces, tolerance_of(run)));
  });
}

TEST_P(TapeProperties, ResultsAccumulate) {
  for_cases(3, [](const Case& c, auto& run) {
    const Numbers v = directions(run, 3, c.seed), start = directions(run, 3, c.seed + 1);
    for (Curvature kind : kBoth) {
      const Numbers added = run.product(kind, v, start), clean = run.product(kind, v);
      EXPECT_TRUE(close(added, combine(1, start, 1, clean), tolerance_of(run)));
    }
    const Numbers first = lane(start, 0, run.n());
    const Numbers g = run.gradient();
    EXPECT_TRUE(close(run.gradient(first), combine(1, first, 1, g), tolerance_of(run)));
  });
}

/// Rows [0, 1) and [1, N) on the same tape, the rest padded with numbers of weight zero, against all rows at once.
TEST_P(TapeProperties, BatchesAddUpAndRowsOfWeightZeroChangeNothing) {
  for_cases(1, [](const Case& c, auto& run) {
    if (c.training || c.batch == 1) return;  // masks belong to rows
    const Numbers v = directions(run, 1, c.seed);
    const double whole = run.linearize();
    const Numbers g = run.gradient(), hv = run.product(Curvature::hessian, v), gv = run.product(Curvature::ggn, v);
    double parts = 0;
    Numbers part_g, part_hv, part_gv;
    for (int first : {0, 1}) {
      run.bind(first, first == 0 ? 1 : c.batch - 1, 1.0 / c.batch);
      run.scribble_on_padding(first == 0 ? 1 : c.batch - 1);
      parts += run.linearize();
      part_g = run.gradient(part_g);
      part_hv = run.product(Curvature::hessian, v, part_hv);
      part_gv = run.product(Curvature::ggn, v, part_gv);
    }
    EXPECT_TRUE(close(parts, whole, tolerance_of(run))) << "loss";
    EXPECT_TRUE(close(part_g, g, tolerance_of(run))) << "gradient";
    EXPECT_TRUE(close(part_hv, hv, tolerance_of(run))) << "H v";
    EXPECT_TRUE(close(part_gv, gv, tolerance_of(run))) << "G v";
  });
}

INSTANTIATE_TEST_SUITE_P(Devices, TapeProperties, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
