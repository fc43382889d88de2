// SPDX-License-Identifier: Apache-2.0
#include "support/symmetric.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace hso::test {

namespace {

std::size_t at(Index i, Index j, Index n) { return static_cast<std::size_t>(i * n + j); }

/// A := P A P, P = I - 2 u u' / u'u.
void reflect(std::vector<long double>& a, const std::vector<long double>& u, Index n) {
  long double norm = 0;
  for (long double x : u) norm += x * x;
  std::vector<long double> w(u.size());
  for (bool rows : {true, false}) {
    std::fill(w.begin(), w.end(), 0.0L);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j)
        w[static_cast<std::size_t>(j)] += u[static_cast<std::size_t>(i)] * (rows ? a[at(i, j, n)] : a[at(j, i, n)]);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j)
        (rows ? a[at(i, j, n)] : a[at(j, i, n)]) -=
            2 * u[static_cast<std::size_t>(i)] * w[static_cast<std::size_t>(j)] / norm;
  }
}

std::vector<double> spectrum(Index n, double (*f)(double, double)) {
  std::vector<double> values;
  for (Index i = 0; i < n; ++i) values.push_back(f(static_cast<double>(i), static_cast<double>(n)));
  return values;
}

}  // namespace

SymmetricCase with_spectrum(std::string name, std::vector<double> values, std::uint64_t seed) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<Index>(values.size());
  const double scale = std::max(largest(values), 1e-300);
  std::vector<long double> a(static_cast<std::size_t>(n * n), 0.0L), u(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) a[at(i, i, n)] = static_cast<long double>(values[static_cast<std::size_t>(i)]) / scale;
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  for (int k = 0; k < 3; ++k) {
    for (long double& x : u) x = normal(engine);
    reflect(a, u, n);
  }
  SymmetricCase out{std::move(name), n, {}, std::move(values)};
  for (long double x : a) out.matrix.push_back(static_cast<double>(x * scale));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < i; ++j) out.matrix[at(j, i, n)] = out.matrix[at(i, j, n)];
  return out;
}

SymmetricCase network_like(Index n, std::uint64_t seed) {
  std::vector<double> values;
  for (Index i = 0; i < n; ++i) values.push_back(1e-3 * std::sin(static_cast<double>(i)));
  const double outliers[] = {-0.5, 1, 1.5, 2, 3, 5, 8};
  for (std::size_t i = 0; i < 7; ++i) values[i] = outliers[i];
  std::sort(values.begin(), values.end());
  return with_spectrum("network", values, seed);
}

std::vector<SymmetricCase> symmetric_cases(Index n, double tiny, double huge) {
  const auto graded = [](double i, double m) { return std::pow(10.0, 2 - 12 * i / m); };
  const auto clustered = [](double i, double) { return 1 + 1e-13 * i; };
  const auto repeated = [](double i, double) { return i < 2 ? -1.0 : 2.0; };
  const auto deficient = [](double i, double m) { return i < m / 3 ? 0.0 : i; };
  const auto indefinite = [](double i, double m) { return i - m / 2 + 0.25; };
  const auto spread = [](double i, double m) { return 1 + i / m; };
  std::vector<SymmetricCase> cases{
      with_spectrum("graded", spectrum(n, graded), 1), with_spectrum("clustered", spectrum(n, clustered), 2),
      with_spectrum("repeated", spectrum(n, repeated), 3), with_spectrum("deficient", spectrum(n, deficient), 4),
      with_spectrum("indefinite", spectrum(n, indefinite), 5)};
  for (const auto& [name, scale] :
       {std::pair{"zero", 0.0}, {"near underflow", 16 * tiny}, {"near overflow", huge / 16}}) {
    std::vector<double> values = spectrum(n, spread);
    for (double& v : values) v *= scale;
    cases.push_back(with_spectrum(name, std::move(values), 6));
  }
  return cases;
}

double eigen_residual(const std::vector<double>& a, const std::vector<double>& v, const std::vector<double>& values,
                      Index n, double eps) {
  const double size = std::max(largest(a), largest(values));
  if (size == 0) return 0;
  double worst = 0;
  for (Index r = 0; r < static_cast<Index>(values.size()); ++r)
    for (Index j = 0; j < n; ++j) {
      double sum = -(values[static_cast<std::size_t>(r)] / size) * v[at(r, j, n)];
      for (Index l = 0; l < n; ++l) sum += v[at(r, l, n)] * (a[at(l, j, n)] / size);
      worst = std::max(worst, std::abs(sum));
    }
  return worst / (static_cast<double>(n) * eps);
}

double orthogonality(const std::vector<double>& v, Index n, Index count, double eps) {
  double worst = 0;
  for (Index r = 0; r < count; ++r)
    for (Index s = 0; s <= r; ++s) {
      double dot = r == s ? -1 : 0;
      for (Index l = 0; l < n; ++l) dot += v[at(r, l, n)] * v[at(s, l, n)];
      worst = std::max(worst, std::abs(dot));
    }
  return worst / (static_cast<double>(n) * eps);
}

std::vector<double> multiply(const std::vector<double>& a, const std::vector<double>& b, Index m, Index k, Index n) {
  std::vector<double> c(static_cast<std::size_t>(m * n), 0.0);
  for (Index i = 0; i < m; ++i)
    for (Index l = 0; l < k; ++l)
      for (Index j = 0; j < n; ++j) c[at(i, j, n)] += a[at(i, l, k)] * b[at(l, j, n)];
  return c;
}

}  // namespace hso::test
