// SPDX-License-Identifier: Apache-2.0
//
// Tolerances that do not grow with n: what Krylov methods call zero in a space of 400,000 dimensions in float32, and
// which solutions of dense systems are accepted.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/linalg/analysis.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/dense_operator.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class KrylovToleranceTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, KrylovToleranceTest, testing::ValuesIn(contexts()), device_word);

constexpr Index kLarge = 400000;

/// n eps is 0.048 here: 30 of the 40 values are below it, and 1e-4 is 40 times what rounding leaves.
TEST_P(KrylovToleranceTest, SmallValuesOfALargeMatrixKeepTheirRank) {
  std::vector<float> d(static_cast<std::size_t>(kLarge));
  for (std::size_t i = 0; i < 40; ++i)
    d[37 * i] = static_cast<float>((i % 2 == 0 ? 1 : -1) * std::pow(10.0, -static_cast<double>(i) / 10));
  DiagonalOperator<float> a(context(), Span<const float>(d));
  const auto s = analyze_spectrum(a, {.method = SpectrumMethod::rank, .max_products = 64});
  ASSERT_TRUE(s.rank);
  EXPECT_EQ(s.rank->at_least, 40);
  EXPECT_EQ(s.rank->inertia.positive, 20);
  EXPECT_EQ(s.rank->inertia.negative, 20);
  EXPECT_LT(s.rank->tolerance, 2e-5);
}

/// Zeros stay zeros: what rounding makes of them is below the tolerance.
TEST_P(KrylovToleranceTest, RoundingIsNoRank) {
  for_types([&]<class T>() {
    const Index n = 9000;
    std::vector<T> d(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < 12; ++i) d[i] = static_cast<T>(1 + 0.3 * static_cast<double>(i));
    DiagonalOperator<T> a(context(), Span<const T>(d));
    EXPECT_EQ(analyze_spectrum(a, {.method = SpectrumMethod::rank, .max_products = 40}).rank->at_least, 12);
    const auto pairs = lanczos(a, {.count = 12});
    EXPECT_LE(pairs.rounding, 50 * std::numeric_limits<T>::epsilon() * pairs.scale);
  });
}

/// The numbers that a product gets wrong are seen in the coefficients that should be zero.
template <class T>
class Inaccurate final : public LinearOperator<T> {
 public:
  Inaccurate(DiagonalOperator<T>& a, double error) : a_(a), error_(error) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override {
    a_.apply(v, hv);
    auto& ops = context().template ops<T>();
    Buffer<T> noise(context(), dimension());
    ops.for_each(1, dimension(),
                 detail::RandomFill<T>{noise.data(), 9, ++products_, detail::Distribution::normal, 0, 1});
    ops.axpby(dimension(), static_cast<T>(error_), noise.data(), T(1), hv.data);
  }

 private:
  DiagonalOperator<T>& a_;
  double error_;
  std::uint64_t products_ = 0;
};

TEST_P(KrylovToleranceTest, ErrorsOfProductsAreMeasured) {
  std::vector<double> d(9000);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = std::cos(static_cast<double>(i));
  DiagonalOperator<double> exact(context(), Span<const double>(d));
  Inaccurate<double> a(exact, 1e-6);
  const auto s = analyze_spectrum(a, {.method = SpectrumMethod::rank});
  // v_i'A v_j - (A v_i)'v_j has two errors of 1e-6 each: 2 sqrt(256) sqrt(2) 1e-6.
  EXPECT_NEAR(s.rank->tolerance, 4.53e-5, 0.2e-5);
}

/// f = 1/2 x'diag(d) x - b'x
class LargeQuadratic final : public Objective<float> {
 public:
  LargeQuadratic(Context& context, std::vector<float> d, std::vector<float> b)
      : context_(context), d_(std::move(d)), b_(std::move(b)) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return static_cast<Index>(d_.size()); }
  double value(const float* theta) override { return at(theta, nullptr); }
  double gradient(const float* theta, float* g) override { return at(theta, g); }
  std::unique_ptr<LinearOperator<float>> curvature(const float*, Curvature) override {
    return std::make_unique<DiagonalOperator<float>>(context_, Span<const float>(d_));
  }
  /// |d x - b|
  double slope(const Buffer<float>& x) const {
    const std::vector<float> host = x.download();
    double sum = 0;
    for (std::size_t i = 0; i < host.size(); ++i) sum += std::pow(d_[i] * host[i] - b_[i], 2);
    return std::sqrt(sum);
  }

 private:
  double at(const float* theta, float* g) {
    std::vector<float> x(d_.size());
    const Index bytes = dimension() * static_cast<Index>(sizeof(float));
    context_.to_host(theta, x.data(), bytes);
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double dx = static_cast<double>(d_[i]) * x[i];
      sum += x[i] * (0.5 * dx - b_[i]);
      x[i] = static_cast<float>(dx - b_[i]);
    }
    if (g != nullptr) context_.to_device(x.data(), g, bytes);
    return sum;
  }
  Context& context_;
  std::vector<float> d_, b_;
};

/// sign = truncate leaves out what is zero, and 0.01 and 0.005 of 1 are not.
TEST_P(KrylovToleranceTest, LowRankStepsKeepSmallPairs) {
  std::vector<float> d(static_cast<std::size_t>(kLarge)), b(d.size());
  const float values[] = {1, 0.5F, 0.2F, 0.1F, 0.01F, 0.005F};
  for (std::size_t i = 0; i < 6; ++i) d[1000 * i] = values[i], b[1000 * i] = 1;
  LargeQuadratic f(context(), d, b);
  Buffer<float> x(context(), kLarge);
  context().ops<float>().fill(kLarge, 0, x.data());
  const double before = f.slope(x);
  const StepReport r = make_optimizer<float>("hso.lowrank", {{"rank", "6"},
                                                             {"sign", "truncate"},
                                                             {"delta", "0"},
                                                             {"adaptive", "false"},
                                                             {"eps_scale", "0"},
                                                             {"subspace", "false"}})
                           ->step(f, x.data());
  EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
  EXPECT_LE(f.slope(x), 0.02 * before);  // two of six components left out would leave 0.58 of it
}

/// A solution that is wrong by a hundredth of itself, and one that is right, at an order where n^2 eps is 2.
TEST_P(KrylovToleranceTest, AWrongSolutionIsRefused) {
  const Index n = 4096, nrhs = 2;
  std::vector<float> a(static_cast<std::size_t>(n * n));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j) {
      const float entry = static_cast<float>(std::sin(static_cast<double>(7 * i + 13 * j)) / 300 + (i == j ? 1 : 0));
      a[static_cast<std::size_t>(i * n + j)] = a[static_cast<std::size_t>(j * n + i)] = entry;
    }
  const Numbers exact = random_numbers(static_cast<std::size_t>(nrhs * n), 3);
  std::vector<float> x(exact.begin(), exact.end()), b(x.size());
  for (Index k = 0; k < nrhs; ++k)
    for (Index i = 0; i < n; ++i) {
      double sum = 0;
      for (Index j = 0; j < n; ++j)
        sum += static_cast<double>(a[static_cast<std::size_t>(i * n + j)]) * x[static_cast<std::size_t>(k * n + j)];
      b[static_cast<std::size_t>(k * n + i)] = static_cast<float>(sum);
    }
  Buffer<float> matrix(context(), Span<const float>(a)), rhs(context(), Span<const float>(b));
  const auto check = [&](const std::vector<float>& candidate) {
    const Buffer<float> device(context(), Span<const float>(candidate));
    return check_solution<float>(context(), {matrix.data(), Shape{n, n}}, {rhs.data(), Shape{nrhs, n}},
                                 {device.data(), Shape{nrhs, n}});
  };
  const SolutionCheck right = check(x);
  EXPECT_TRUE(right.accepted) << right.units;
  EXPECT_LE(right.units, 1);
  std::vector<float> wrong = x;
  for (std::size_t i = static_cast<std::size_t>(n); i < wrong.size(); ++i) wrong[i] *= i % 2 == 0 ? 1.01F : 0.99F;
  EXPECT_FALSE(check(wrong).accepted) << check(wrong).units;
  EXPECT_GT(check(wrong).backward_error, 1e-3);
  // A large row hides no small one: each is judged by its own size.
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) b[i] *= 0x1p20F, wrong[i] *= 0x1p20F;
  rhs = Buffer<float>(context(), Span<const float>(b));
  EXPECT_FALSE(check(wrong).accepted);
}

TEST_P(KrylovToleranceTest, SolutionsAreAcceptedAtEveryOrder) {
  for_types([&]<class T>() {
    for (Index n : {1, 3, 17, 64, 300}) {
      Numbers a = random_symmetric(n, 5);
      for (Index i = 0; i < n; ++i) a[static_cast<std::size_t>(i * n + i)] += 2 * std::sqrt(static_cast<double>(n));
      for (bool definite : {true, false}) {
        if (!definite) a[0] = -a[0];
        const std::vector<T> matrix = narrow<T>(a), b = narrow<T>(random_numbers(static_cast<std::size_t>(2 * n), 4));
        Buffer<T> device(context(), Span<const T>(matrix)), x(context(), Span<const T>(b)),
            rhs(context(), Span<const T>(b));
        const SolveReport r = solve(context(), device.view().reshaped({n, n}), x.view().reshaped({2, n}));
        EXPECT_EQ(r.status, LinalgStatus::ok);
        EXPECT_LE(r.residual, 10);
        const SolutionCheck c = check_solution<T>(context(), {device.data(), Shape{n, n}}, {rhs.data(), Shape{2, n}},
                                                  {x.data(), Shape{2, n}});
        EXPECT_NEAR(c.units, r.residual, 0.5) << n;
      }
    }
  });
}

}  // namespace
}  // namespace hso::test
