// SPDX-License-Identifier: Apache-2.0
//
// Eigendecompositions by residual and orthogonality in units of n eps (at most 30), and their failure policy.
#include "hsogpu/linalg/dense.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "hsogpu/core/error.hpp"
#include "support/contexts.hpp"
#include "support/failing_context.hpp"
#include "support/symmetric.hpp"
#include "support/test_file.hpp"

namespace hso {
namespace {

using test::SymmetricCase;

constexpr double kUnits = 30;

class LinalgTest : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LinalgTest, testing::ValuesIn(test::contexts()), test::device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

template <class T>
std::vector<T> cast(const std::vector<double>& from) {
  return std::vector<T>(from.begin(), from.end());
}

template <class T>
std::vector<double> wide(const std::vector<T>& from) {
  return std::vector<double>(from.begin(), from.end());
}

template <class T>
View<T> square(Buffer<T>& buffer, Index n) {
  return buffer.view().reshaped({n, n});
}

template <class T>
std::vector<SymmetricCase> cases(Index n) {
  using Limits = std::numeric_limits<T>;
  return test::symmetric_cases(n, static_cast<double>(Limits::min()), static_cast<double>(Limits::max()));
}

/// Eigenvalues against those known, in units of n eps |A| of the type and of the rounding of the matrix to it.
template <class T>
void expect_values(const std::vector<double>& got, const std::vector<double>& known, Index first) {
  ASSERT_TRUE(std::is_sorted(got.begin(), got.end()));
  const double tolerance = kUnits * spectrum_tolerance<T>(static_cast<Index>(known.size()));
  const double size = test::largest(known);
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::abs(got[i] - known[i + static_cast<std::size_t>(first)]), tolerance * size) << "eigenvalue " << i;
}

template <class T>
void expect_eigh(Context& context, const SymmetricCase& c, const EighOptions& options = {}) {
  SCOPED_TRACE(c.name + " n = " + std::to_string(c.n));
  const std::vector<T> matrix = cast<T>(c.matrix);
  Buffer<T> a(context, matrix);
  const EighResult r = eigh(context, square(a, c.n), options);
  ASSERT_TRUE(r.ok()) << name_of(r.status);
  EXPECT_TRUE(r.fallbacks.empty()) << r.fallbacks[0];
  const Index count = options.last < 0 ? c.n : options.last - options.first + 1;
  ASSERT_EQ(static_cast<Index>(r.values.size()), count);
  expect_values<T>(r.values, c.values, options.first);
  if (!options.vectors) return;
  std::vector<double> v = wide(a.download());
  v.resize(static_cast<std::size_t>(count * c.n));
  EXPECT_LE(test::eigen_residual(wide(matrix), v, r.values, c.n, kEps<T>), kUnits);
  EXPECT_LE(test::orthogonality(v, c.n, count, kEps<T>), kUnits);
  EXPECT_LE(r.residual, kUnits);  // -1 where it was not asked for
}

TEST_P(LinalgTest, EigenpairsOfAllKindsAndSizes) {
  test::for_types([&]<class T>() {
    for (Index n : {1, 2, 3, 5, 20, 100})
      for (const SymmetricCase& c : cases<T>(n)) {
        expect_eigh<T>(context(), c, {.check_residual = true});
        expect_eigh<T>(context(), c, {.vectors = false});
        expect_eigh<T>(context(), c, {.vectors = false, .route = EigenRoute::reduction});
      }
  });
}

/// The same kinds at n = 1000, where blocked code runs; residuals and orthogonality by products in float64.
TEST_P(LinalgTest, EigenpairsOfAllKindsAtAThousand) {
  const Index n = 1000;
  const auto cpu = Context::create("cpu");
  auto& ops = cpu->ops<double>();
  test::for_types([&]<class T>() {
    for (const SymmetricCase& c : cases<T>(n)) {
      SCOPED_TRACE(c.name);
      const std::vector<T> matrix = cast<T>(c.matrix);
      Buffer<T> a(context(), matrix);
      const EighResult r = eigh(context(), square(a, n));
      ASSERT_TRUE(r.ok());
      EXPECT_TRUE(r.fallbacks.empty());
      expect_values<T>(r.values, c.values, 0);
      const double size = test::largest(c.values);
      std::vector<double> v = wide(a.download()), av(v.size()), vv(v.size()), scaled = wide(matrix);
      for (double& x : scaled) x /= std::max(size, 1e-300);
      ops.gemm({n, n, n, v.data(), n, false, scaled.data(), n, false, av.data(), n});
      ops.gemm({n, n, n, v.data(), n, false, v.data(), n, true, vv.data(), n});
      double residual = 0, orthogonality = 0;
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j) {
          const auto at = static_cast<std::size_t>(i * n + j);
          const double value = r.values[static_cast<std::size_t>(i)] / std::max(size, 1e-300);
          residual = std::max(residual, std::abs(av[at] - value * v[at]));
          orthogonality = std::max(orthogonality, std::abs(vv[at] - (i == j ? 1 : 0)));
        }
      EXPECT_LE(residual, kUnits * spectrum_tolerance<T>(n));
      EXPECT_LE(orthogonality, kUnits * spectrum_tolerance<T>(n));
      expect_eigh<T>(context(), c, {.vectors = false, .route = EigenRoute::reduction});
    }
  });
}

TEST_P(LinalgTest, TheReductionTakesOverWhereTheLibraryFails) {
  test::FailingContext failing;
  failing.narrow.failures = failing.wide.failures = 9;
  const SymmetricCase c = cases<float>(100)[4];
  Buffer<float> a(failing, cast<float>(c.matrix));
  const EighResult r = eigh(failing, square(a, 100), {.vectors = false});
  ASSERT_TRUE(r.ok());
  EXPECT_NE(r.fallbacks.back().find("own reduction"), std::string::npos) << r.fallbacks.back();
  expect_values<float>(r.values, c.values, 0);
  Buffer<float> b(failing, cast<float>(c.matrix));
  EXPECT_THROW(eigh(failing, square(b, 100), {.route = EigenRoute::reduction}), UsageError);
}

/// Values that are wrong although the library reports success: the first two moments give them away.
TEST_P(LinalgTest, WrongValuesAreNotBelieved) {
  test::FailingContext lying;
  lying.wide.lies = 1;
  const SymmetricCase c = cases<double>(50)[0];
  Buffer<double> a(lying, c.matrix);
  const EighResult r = eigh(lying, square(a, 50), {.vectors = false});
  ASSERT_TRUE(r.ok());
  ASSERT_EQ(r.fallbacks.size(), 1u);
  EXPECT_NE(r.fallbacks[0].find("trace or Frobenius norm differ"), std::string::npos) << r.fallbacks[0];
  expect_values<double>(r.values, c.values, 0);
}

TEST_P(LinalgTest, RangesOfEigenpairs) {
  test::for_types([&]<class T>() {
    for (const SymmetricCase& c : cases<T>(20)) {
      expect_eigh<T>(context(), c, {.first = 15, .last = 19, .check_residual = true});
      expect_eigh<T>(context(), c, {.first = 0, .last = 0});
      expect_eigh<T>(context(), c, {.vectors = false, .first = 3, .last = 9});
    }
  });
}

TEST_P(LinalgTest, BatchesOfOrdinaryAndOfExtremeMatrices) {
  test::for_types([&]<class T>() {
    const Index n = 20;
    for (bool extreme : {false, true}) {
      std::vector<SymmetricCase> all = cases<T>(n);
      if (!extreme) all.resize(5);
      std::vector<T> matrices;
      for (const SymmetricCase& c : all)
        for (double x : c.matrix) matrices.push_back(static_cast<T>(x));
      const auto batch = static_cast<Index>(all.size());
      Buffer<T> a(context(), matrices);
      const auto results = eigh_batched(context(), a.view().reshaped({batch, n, n}));
      const std::vector<double> v = wide(a.download());
      for (std::size_t b = 0; b < all.size(); ++b) {
        SCOPED_TRACE(all[b].name);
        ASSERT_TRUE(results[b].ok());
        expect_values<T>(results[b].values, all[b].values, 0);
        const auto begin = static_cast<std::ptrdiff_t>(b) * n * n;
        const std::vector<double> mine(v.begin() + begin, v.begin() + begin + n * n);
        EXPECT_LE(test::eigen_residual(wide(cast<T>(all[b].matrix)), mine, results[b].values, n, kEps<T>), kUnits);
        EXPECT_LE(test::orthogonality(mine, n, n, kEps<T>), kUnits);
      }
    }
  });
}

TEST_P(LinalgTest, AsymmetricInputIsSymmetrised) {
  Buffer<double> a(context(), std::vector<double>{2, 3, -1, 2});  // mean of the triangles: 1
  const EighResult r = eigh(context(), square(a, 2));
  EXPECT_NEAR(r.values[0], 1, 1e-15);
  EXPECT_NEAR(r.values[1], 3, 1e-15);
}

TEST_P(LinalgTest, WhatIsNotFiniteIsRefusedAndLeftAlone) {
  test::for_types([&]<class T>() {
    for (T bad : {std::numeric_limits<T>::quiet_NaN(), -std::numeric_limits<T>::infinity()}) {
      Buffer<T> a(context(), std::vector<T>{1, 2, bad, 4}), b(context(), std::vector<T>{1, 1});
      EXPECT_EQ(eigh(context(), square(a, 2)).status, LinalgStatus::not_finite);
      EXPECT_EQ(cholesky(context(), square(a, 2)).status, LinalgStatus::not_finite);
      EXPECT_EQ(inverse(context(), square(a, 2)).status, LinalgStatus::not_finite);
      EXPECT_EQ(solve(context(), square(a, 2), b.view().reshaped({1, 2})).status, LinalgStatus::not_finite);
      EXPECT_EQ(eigh_batched(context(), a.view().reshaped({1, 2, 2}))[0].status, LinalgStatus::not_finite);
      EXPECT_EQ(a.download()[3], 4);
      EXPECT_EQ(b.download(), (std::vector<T>{1, 1}));
    }
  });
}

template <class T>
void expect_recovery(int narrow_failures, int wide_failures, const std::vector<std::string>& fallbacks) {
  test::FailingContext context;
  const SymmetricCase c = cases<T>(20)[4];
  for (bool part : {false, true}) {
    context.narrow.failures = narrow_failures;
    context.wide.failures = wide_failures;
    Buffer<T> a(context, cast<T>(c.matrix));
    const EighResult r = eigh(context, square(a, 20), {.first = part ? 4 : 0, .check_residual = true});
    ASSERT_TRUE(r.ok());
    EXPECT_LE(r.residual, kUnits);
    expect_values<T>(r.values, c.values, part ? 4 : 0);
    std::vector<double> v = wide(a.download());
    v.resize(r.values.size() * 20);
    EXPECT_LE(test::eigen_residual(wide(cast<T>(c.matrix)), v, r.values, 20, kEps<T>), kUnits);
    ASSERT_EQ(r.fallbacks.size(), fallbacks.size());
    for (std::size_t i = 0; i < fallbacks.size(); ++i)
      EXPECT_NE(r.fallbacks[i].find(fallbacks[i]), std::string::npos) << r.fallbacks[i];
  }
}

TEST(LinalgLadderTest, FailuresAreTriedInFloat64ThenByAnotherSolverAndSaidSo) {
  expect_recovery<float>(0, 0, {});
  expect_recovery<float>(1, 0, {"float64"});
  expect_recovery<float>(1, 1, {"float64", "no convergence"});
  expect_recovery<double>(0, 1, {"solver after: no convergence"});
}

TEST(LinalgLadderTest, WhenEverySolverFailsTheMatrixComesBack) {
  test::FailingContext context;
  context.narrow.failures = context.wide.failures = 9;
  const std::vector<float> matrix = cast<float>(cases<float>(20)[4].matrix);
  Buffer<float> a(context, matrix);
  EXPECT_EQ(eigh(context, square(a, 20)).status, LinalgStatus::failed);
  EXPECT_EQ(a.download(), matrix);
  EXPECT_EQ(inverse(context, square(a, 20)).status, LinalgStatus::failed);
  EXPECT_EQ(a.download(), matrix);
}

TEST_P(LinalgTest, AResidualAboveTheLimitIsAFailure) {
  test::for_types([&]<class T>() {
    const SymmetricCase c = cases<T>(20)[4];
    const std::vector<T> matrix = cast<T>(c.matrix);
    Buffer<T> a(context(), matrix);
    const EighResult r = eigh(context(), square(a, c.n), {.check_residual = true, .residual_limit = -1});
    EXPECT_EQ(r.status, LinalgStatus::failed);
    ASSERT_EQ(r.fallbacks.size(), sizeof(T) == 4 ? 3u : 2u);
    EXPECT_NE(r.fallbacks[0].find("residual too large"), std::string::npos) << r.fallbacks[0];
    EXPECT_EQ(a.download(), matrix);
  });
}

TEST_P(LinalgTest, RepeatedCallsAllocateNothing) {
  const auto c = Context::create(GetParam());
  const std::vector<double> matrix = cases<double>(20)[0].matrix;
  Buffer<double> a(*c, matrix);
  const auto round = [&] {
    a.upload(matrix);
    eigh(*c, square(a, 20), {.check_residual = true});
    a.upload(matrix);
    inverse(*c, square(a, 20));
  };
  round();
  const Index made = c->allocation_count();
  for (int i = 0; i < 5; ++i) round();
  EXPECT_EQ(c->allocation_count(), made);
}

TEST_P(LinalgTest, EmptyMatricesAndWrongShapes) {
  Buffer<double> a(context(), 6);
  EXPECT_TRUE(eigh(context(), View<double>{nullptr, {0, 0}}).ok());
  EXPECT_TRUE(inverse(context(), View<double>{nullptr, {0, 0}}).status == LinalgStatus::ok);
  EXPECT_EQ(cholesky(context(), View<double>{nullptr, {0, 0}}).status, LinalgStatus::ok);
  EXPECT_THROW(eigh(context(), a.view().reshaped({2, 3})), InputError);
  EXPECT_THROW(eigh(context(), a.view()), InputError);
  EXPECT_THROW(inverse(context(), a.view().reshaped({3, 2})), InputError);
  Buffer<double> b(context(), std::vector<double>{1, 0, 0, 1});
  EXPECT_THROW(solve(context(), square(b, 2), a.view().reshaped({2, 3})), InputError);
  EXPECT_THROW(eigh(context(), square(b, 2), {.first = 1, .last = 2}), UsageError);
}

TEST_P(LinalgTest, WorkThatWouldNotFitIsRefusedWithWhatWould) {
  const auto bytes = [](Index n) { return checked_multiply(checked_multiply(n, n), 8); };
  EXPECT_NO_THROW(require_memory(context(), "test", 100, bytes));
  for (Index n : {Index{100000000}, Index{1} << 40}) {
    try {
      require_memory(context(), "test", n, bytes);
      ADD_FAILURE() << n;
    } catch (const MemoryError& e) {
      const std::string text = e.what();
      EXPECT_TRUE(text.starts_with("test: n = " + std::to_string(n))) << text;
      const std::size_t mark = text.find("n up to ");
      ASSERT_NE(mark, std::string::npos) << text;
      const Index fits = std::stoll(text.substr(mark + 8));
      const double free = static_cast<double>(context().memory().free_bytes);
      EXPECT_NEAR(static_cast<double>(fits * fits * 8), free, 0.2 * free) << text;
    }
  }
  View<double> pretended{reinterpret_cast<double*>(256), {3000000, 3000000}};
  EXPECT_THROW(eigh(context(), pretended), MemoryError);
}

std::vector<double> numbers(const nlohmann::json& strings) {
  std::vector<double> out;
  for (const auto& s : strings) out.push_back(s.is_string() ? std::stod(s.get<std::string>()) : s.get<double>());
  return out;
}

/// Entry (i, j) of the matrices that the file names without listing them.
double by_rule(const std::string& name, Index n, Index i, Index j) {
  const Index apart = std::abs(i - j), low = std::min(i, j) + 1;
  if (name == "minij_20") return static_cast<double>(low);
  if (name == "ones_plus_I_16") return apart == 0 ? 2 : 1;
  if (apart > 1) return 0;
  if (name == "laplacian1d_20") return apart == 0 ? 2 : -1;
  if (name == "wilkinson_plus_21") return apart == 0 ? static_cast<double>(std::abs(i - n / 2)) : 1;
  if (name == "clement_sym_20") return apart == 0 ? 0 : std::sqrt(static_cast<double>(low * (n - low)));
  ADD_FAILURE() << "no rule for " << name;
  return 0;
}

TEST_P(LinalgTest, MatricesWithPublishedSpectra) {
  int found = 0;
  const nlohmann::json all = nlohmann::json::parse(test::test_file("data/golden/symmetric_eigen.json"));
  for (const auto& [name, entry] : all.items()) {
    if (!entry.contains("matrix")) continue;  // inverses, and a matrix that is not symmetric
    const Index n = entry.at("n").get<Index>();
    SymmetricCase c{name, n, {}, numbers(entry.at("eigenvalues"))};
    if (entry.at("matrix").is_string())
      for (Index k = 0; k < n * n; ++k) c.matrix.push_back(by_rule(name, n, k / n, k % n));
    else
      for (const auto& row : entry.at("matrix"))
        for (double x : numbers(row)) c.matrix.push_back(x);
    test::for_types([&]<class T>() { expect_eigh<T>(context(), c, {.check_residual = true}); });
    ++found;
  }
  EXPECT_GE(found, 10);
}

TEST_P(LinalgTest, Bcsstk01) {  // stiffness matrix, Harwell-Boeing collection
  std::istringstream file(test::test_file("data/matrices/bcsstk01.mtx"));
  Index n = 0, columns = 0, entries = 0, i = 0, j = 0;
  std::string line;
  while (file.peek() == '%') std::getline(file, line);
  file >> n >> columns >> entries;
  std::vector<double> a(static_cast<std::size_t>(n * n));
  for (double v = 0; file >> i >> j >> v;)
    a[static_cast<std::size_t>((i - 1) * n + j - 1)] = a[static_cast<std::size_t>((j - 1) * n + i - 1)] = v;
  Buffer<double> d(context(), a);
  const EighResult r = eigh(context(), square(d, n), {.check_residual = true});
  ASSERT_TRUE(r.ok());
  EXPECT_LE(r.residual, kUnits);
  const double tolerance = kUnits * spectrum_tolerance<double>(n) * r.values.back();
  EXPECT_NEAR(r.values.front(), 3417.2675626665493505, tolerance);
  EXPECT_NEAR(r.values.back(), 3015179089.8976860811, tolerance);
}

}  // namespace
}  // namespace hso
