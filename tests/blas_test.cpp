// SPDX-License-Identifier: Apache-2.0
//
// Matrix products and reductions against plain loops in double.
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

class BlasTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, BlasTest, testing::ValuesIn(test::contexts()), test::device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

struct Product {
  Index m, n, k, batch;
  bool trans_a, trans_b, share_a, share_b;
  Index padding;  ///< elements between rows, and twice as many between the problems of a batch
  double alpha, beta;
};

struct Operand {
  Index rows, cols, ld, stride;
  Operand(Index r, Index c, Index padding, bool shared)
      : rows(r), cols(c), ld(c + padding), stride(shared ? 0 : r * (c + padding) + 2 * padding) {}
  Index size(Index batch) const { return (batch - 1) * stride + rows * ld; }
  std::size_t at(Index b, Index i, Index j, bool trans) const {
    return static_cast<std::size_t>(b * stride + (trans ? j * ld + i : i * ld + j));
  }
};

template <class T>
void expect_product(Context& context, const Product& p) {
  const Operand a(p.trans_a ? p.k : p.m, p.trans_a ? p.m : p.k, p.padding, p.share_a);
  const Operand b(p.trans_b ? p.n : p.k, p.trans_b ? p.k : p.n, p.padding, p.share_b);
  const Operand c(p.m, p.n, p.padding, false);
  const auto ha = test::normal_numbers<T>(a.size(p.batch), 1), hb = test::normal_numbers<T>(b.size(p.batch), 2);
  auto hc = test::normal_numbers<T>(c.size(p.batch), 3);
  if (p.beta == 0) hc.assign(hc.size(), std::numeric_limits<T>::quiet_NaN());
  Buffer<T> da(context, ha), db(context, hb), dc(context, hc);
  context.ops<T>().gemm({.m = p.m,
                         .n = p.n,
                         .k = p.k,
                         .a = da.data(),
                         .lda = a.ld,
                         .trans_a = p.trans_a,
                         .b = db.data(),
                         .ldb = b.ld,
                         .trans_b = p.trans_b,
                         .c = dc.data(),
                         .ldc = c.ld,
                         .alpha = static_cast<T>(p.alpha),
                         .beta = static_cast<T>(p.beta),
                         .batch = p.batch,
                         .stride_a = a.stride,
                         .stride_b = b.stride,
                         .stride_c = c.stride});
  const auto got = dc.download();
  for (Index s = 0; s < p.batch; ++s)
    for (Index i = 0; i < p.m; ++i)
      for (Index j = 0; j < p.n; ++j) {
        const std::size_t at = c.at(s, i, j, false);
        double sum = p.beta == 0 ? 0 : p.beta * static_cast<double>(hc[at]), size = std::abs(sum);
        for (Index l = 0; l < p.k; ++l) {
          const double term = p.alpha * static_cast<double>(ha[a.at(s, i, l, p.trans_a)]) *
                              static_cast<double>(hb[b.at(s, l, j, p.trans_b)]);
          sum += term;
          size += std::abs(term);
        }
        ASSERT_NEAR(static_cast<double>(got[at]), sum, (static_cast<double>(p.k) + 3) * kEps<T> * size)
            << p.m << "x" << p.n << "x" << p.k << " at " << s << "," << i << "," << j << " trans " << p.trans_a
            << p.trans_b << " shared " << p.share_a << p.share_b << " beta " << p.beta;
      }
}

TEST_P(BlasTest, ProductsOfAllTransposesStridesBatchesAndScalings) {
  const Index sizes[][3] = {{1, 1, 1}, {5, 1, 7}, {1, 6, 7}, {7, 5, 3}, {33, 17, 41}, {4, 3, 0}};
  test::for_types([&]<class T>() {
    for (const auto& size : sizes)
      for (int bits = 0; bits < 16; ++bits)
        for (double beta : {0.0, 1.0, -0.5}) {
          const bool ta = bits & 1, tb = bits & 2, sa = bits & 4, sb = bits & 8;
          expect_product<T>(context(), {size[0], size[1], size[2], 1, ta, tb, false, false, 0, 1.0, beta});
          expect_product<T>(context(), {size[0], size[1], size[2], 3, ta, tb, sa, sb, 2, -1.5, beta});
        }
  });
}

TEST_P(BlasTest, LargeProducts) {
  test::for_types([&]<class T>() {
    expect_product<T>(context(), {150, 130, 201, 2, false, true, true, false, 0, 1.0, 0.0});
    expect_product<T>(context(), {40, 30, 50, 9, true, false, false, false, 0, 1.0, 1.0});    // a batch over threads
    expect_product<T>(context(), {20, 30, 50, 9, false, true, false, true, 0, 1.0, 1.0});     // folded into one product
    expect_product<T>(context(), {3, 700, 301, 3, false, true, false, false, 1, 1.0, -0.5});  // batch not a multiple
    expect_product<T>(context(), {900, 1, 700, 1, true, false, false, false, 3, 2.0, 1.0});   // matrix and vector
  });
}

/// Products are cut into tiles, one a thread: any number of threads, more than rows or columns included.
TEST(CpuProducts, AreTheSameOnAnyNumberOfThreads) {
  const auto cpu = Context::create("cpu");
  const int before = omp_get_max_threads();
  for (int threads : {1, 2, 3, 7, 16}) {
    omp_set_num_threads(threads);
    test::for_types([&]<class T>() {
      for (int bits = 0; bits < 4; ++bits) {
        const bool ta = bits & 1, tb = bits & 2;
        expect_product<T>(*cpu, {151, 133, 120, 1, ta, tb, false, false, 3, -1.5, 0.0});
        expect_product<T>(*cpu, {5, 400, 900, 5, ta, tb, true, false, 0, 1.0, 1.0});
        expect_product<T>(*cpu, {400, 5, 900, 2, ta, tb, false, false, 1, 1.0, 1.0});
      }
    });
    EXPECT_EQ(omp_get_max_threads(), threads);
  }
  omp_set_num_threads(before);
}

TEST_P(BlasTest, EmptyProductsTouchNothing) {
  Buffer<float> c(context(), std::vector<float>{1, 2});
  for (const auto& [m, n, batch] : std::vector<std::array<Index, 3>>{{0, 2, 1}, {2, 0, 1}, {1, 2, 0}})
    context().ops<float>().gemm({.m = m,
                                 .n = n,
                                 .k = 1,
                                 .a = c.data(),
                                 .lda = 1,
                                 .trans_a = false,
                                 .b = c.data(),
                                 .ldb = 2,
                                 .trans_b = false,
                                 .c = c.data(),
                                 .ldc = 2,
                                 .batch = batch});
  EXPECT_EQ(c.download(), (std::vector<float>{1, 2}));
}

struct Reduction {
  Index lanes, rows, cols;
  bool over_rows;
  double beta;
};

template <class T>
void expect_sums(Context& context, const Reduction& r) {
  const Index stride = r.rows * r.cols + 3, out = r.over_rows ? r.cols : r.rows, out_stride = out + 1;
  const auto x = test::normal_numbers<T>(r.lanes * stride, 4);
  auto y = test::normal_numbers<T>(r.lanes * out_stride, 5);
  if (r.beta == 0) y.assign(y.size(), std::numeric_limits<T>::quiet_NaN());
  Buffer<T> dx(context, x), dy(context, y), again(context, y);
  const auto run = [&](Buffer<T>& to) {
    const ReduceArgs<T> args{r.lanes, r.rows, r.cols, dx.data(), stride, to.data(), out_stride, static_cast<T>(r.beta)};
    r.over_rows ? context.ops<T>().sum_rows(args) : context.ops<T>().sum_columns(args);
  };
  run(dy);
  run(again);
  const auto got = dy.download(), second = again.download();
  const Index terms = r.over_rows ? r.rows : r.cols;
  for (Index k = 0; k < r.lanes; ++k)
    for (Index o = 0; o < out; ++o) {
      const auto at = static_cast<std::size_t>(k * out_stride + o);
      double sum = r.beta == 0 ? 0 : r.beta * static_cast<double>(y[at]), size = std::abs(sum);
      for (Index t = 0; t < terms; ++t) {
        const Index e = r.over_rows ? t * r.cols + o : o * r.cols + t;
        const double v = static_cast<double>(x[static_cast<std::size_t>(k * stride + e)]);
        sum += v;
        size += std::abs(v);
      }
      ASSERT_NEAR(static_cast<double>(got[at]), sum, 4 * std::sqrt(static_cast<double>(terms)) * kEps<T> * size)
          << r.lanes << " lanes of " << r.rows << "x" << r.cols << " at " << k << "," << o;
      ASSERT_EQ(got[at], second[at]) << "a second run gave other bits";
    }
}

TEST_P(BlasTest, SumsOverRowsAndColumns) {
  test::for_types([&]<class T>() {
    for (const auto& [lanes, rows, cols] : std::vector<std::array<Index, 3>>{
             {1, 1, 1}, {3, 7, 5}, {1, 5000, 3}, {1, 3, 5000}, {2, 129, 300}, {17, 33, 10}, {1, 40, 10001}})
      for (bool over_rows : {false, true})
        for (double beta : {0.0, 1.0}) expect_sums<T>(context(), {lanes, rows, cols, over_rows, beta});
  });
}

TEST_P(BlasTest, EmptySumsAreZero) {
  Buffer<double> y(context(), std::vector<double>{7, 7}), x(context(), 1);
  context().ops<double>().sum_rows({1, 0, 2, x.data(), 0, y.data(), 2, 0});
  EXPECT_EQ(y.download(), (std::vector<double>{0, 0}));
  y.upload(std::vector<double>{7, 7});
  context().ops<double>().sum_columns({1, 2, 0, x.data(), 0, y.data(), 2, 0});
  EXPECT_EQ(y.download(), (std::vector<double>{0, 0}));
}

TEST_P(BlasTest, DotsOfLanesInDouble) {
  test::for_types([&]<class T>() {
    for (Index n : {Index{0}, Index{1}, Index{31}, Index{4097}, Index{50000}}) {
      const Index lanes = 3;
      const auto x = test::normal_numbers<T>(lanes * (n + 1), 6), y = test::normal_numbers<T>(n, 7);
      Buffer<T> dx(context(), x), dy(context(), y);
      double got[3], again[3];
      context().ops<T>().dots(lanes, n, dx.data(), n + 1, dy.data(), 0, got);
      context().ops<T>().dots(lanes, n, dx.data(), n + 1, dy.data(), 0, again);
      for (Index k = 0; k < lanes; ++k) {
        long double sum = 0, size = 0;
        for (Index i = 0; i < n; ++i) {
          const long double term = static_cast<long double>(x[static_cast<std::size_t>(k * (n + 1) + i)]) *
                                   static_cast<long double>(y[static_cast<std::size_t>(i)]);
          sum += term;
          size += std::abs(term);
        }
        EXPECT_NEAR(got[k], static_cast<double>(sum), 1e-14 * static_cast<double>(size)) << "lane " << k << " n " << n;
        EXPECT_EQ(got[k], again[k]);
      }
    }
  });
}

TEST_P(BlasTest, RecurrenceAndTheSquaresOfWhatItWrote) {
  test::for_types([&]<class T>() {
    const Index n = 9001, lanes = 3;  // blocks of the sums, and a rest
    const auto w = test::normal_numbers<T>(lanes * n, 1), u = test::normal_numbers<T>(lanes * n, 2);
    auto y = test::normal_numbers<T>(lanes * n, 3);
    const std::vector<T> factors{T(0.5), T(-2), T(0), T(1.5), T(0), T(3), T(-1), T(0.25), T(0)};
    std::fill_n(y.begin() + 2 * n, n, std::numeric_limits<T>::quiet_NaN());  // factor 0: never used
    Buffer<T> dw(context(), w), du(context(), u), dy(context(), y), df(context(), factors);
    Buffer<double> sums(context(), lanes);
    context().ops<T>().recur(
        lanes, n, detail::LaneRecurrence<T>{df.data(), lanes, dw.data(), n, du.data(), n, dy.data(), n}, sums.data());
    const auto got = dy.download();
    const auto squares = sums.download();
    for (Index k = 0; k < lanes; ++k) {
      double sum = 0;
      for (Index i = k * n; i < (k + 1) * n; ++i) {
        const auto at = static_cast<std::size_t>(i), lane = static_cast<std::size_t>(k);
        const double last = k == 2 ? 0 : static_cast<double>(factors[6 + lane] * y[at]);
        const double want = static_cast<double>(factors[lane]) * static_cast<double>(w[at]) +
                            static_cast<double>(factors[3 + lane]) * static_cast<double>(u[at]) + last;
        const double size = std::abs(want) + 20;  // of the terms
        ASSERT_NEAR(static_cast<double>(got[at]), want,
                    4 * size * static_cast<double>(std::numeric_limits<T>::epsilon()));
        sum += static_cast<double>(got[at]) * static_cast<double>(got[at]);
      }
      EXPECT_NEAR(squares[static_cast<std::size_t>(k)], sum, 1e-12 * sum) << "lane " << k;
    }
  });
}

TEST_P(BlasTest, LargestEntryAndWhatIsNotFinite) {
  test::for_types([&]<class T>() {
    const Index n = 40007;
    auto x = test::normal_numbers<T>(n, 8);
    x[30000] = T(-123.5);
    Buffer<T> d(context(), x);
    auto& ops = context().ops<T>();
    EXPECT_EQ(ops.max_abs(n, d.data()), 123.5);
    EXPECT_EQ(ops.max_abs(0, d.data()), 0);
    EXPECT_NEAR(ops.nrm2(n, d.data()), std::sqrt(ops.dot(n, d.data(), d.data())), 1e-9);
    using Limits = std::numeric_limits<T>;
    for (T bad : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
      x[17] = bad;
      d.upload(x);
      EXPECT_FALSE(std::isfinite(ops.max_abs(n, d.data()))) << bad;
    }
  });
}

}  // namespace
}  // namespace hso
