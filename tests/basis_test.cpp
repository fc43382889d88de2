// SPDX-License-Identifier: Apache-2.0
//
// Rows joined to an orthonormal basis: what comes out is orthonormal, and the coefficients give the rows back.
#include "linalg/basis.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

using detail::Basis;
using detail::PanelLog;
using detail::PanelNumbers;

class BasisTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, BasisTest, testing::ValuesIn(contexts()), device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

double length(const Numbers& rows, Index n, Index i) {
  double sum = 0;
  for (Index l = 0; l < n; ++l) sum += std::pow(rows[static_cast<std::size_t>(i * n + l)], 2);
  return std::sqrt(sum);
}

/// `held` orthonormal rows, and `count` rows of about length 1 behind them.
template <class T>
struct Rows {
  Rows(Context& on, Index dimension, Index rows, const Numbers& w)
      : n(dimension),
        held(rows),
        count(static_cast<Index>(w.size()) / n),
        context(on),
        basis(on, n, held + count),
        before(narrow<T>(w)) {
    put(0, narrow<T>(random_numbers(static_cast<std::size_t>(held * n), 1)));
    std::vector<double> r;
    if (held > 0) basis.orthonormalize(0, held, 0, 1, r);
    put(held, before);
  }
  void put(Index row, const std::vector<T>& x) {
    if (!x.empty()) context.to_device(x.data(), basis.row(row), static_cast<Index>(x.size() * sizeof(T)));
  }
  Numbers all() {
    std::vector<T> host(static_cast<std::size_t>((held + count) * n));
    context.to_host(basis.row(0), host.data(), static_cast<Index>(host.size() * sizeof(T)));
    return widen(host);
  }

  /// The reports of the rows, and the rows made good.
  Numbers join(double scale) {
    PanelLog<T> log(context, detail::panel_count(count), std::min(count, detail::kWidestPanel), held + count);
    Buffer<double> device_scale(context, std::vector<double>{scale});
    basis.append(held, count, 0, device_scale.data(), log);
    panels = log.read();
    Numbers status;
    for (const PanelNumbers& p : panels) status.insert(status.end(), p.status.begin(), p.status.end());
    const bool fine = std::ranges::all_of(status, [](double s) { return s == detail::kRowFine; });
    EXPECT_EQ(basis.repair(panels, device_scale.data(), 7, log), !fine);
    return status;
  }

  /// max |row - sum of coefficients times new rows|.
  double lost() {
    const Numbers now = all();
    double worst = 0;
    for (const PanelNumbers& p : panels)
      for (Index j = 0; j < p.width; ++j) {
        const Index first = p.against - held + j;
        Numbers rest(before.begin() + first * n, before.begin() + (first + 1) * n);
        for (Index i = 0; i < p.against + p.width; ++i)
          for (Index l = 0; l < n; ++l)
            rest[static_cast<std::size_t>(l)] -=
                p.a[static_cast<std::size_t>(i * p.width + j)] * now[static_cast<std::size_t>(i * n + l)];
        worst = std::max(worst, length(rest, n, 0));
      }
    return worst;
  }
  /// What the new row j contributes to the old one.
  double own(Index j) const {
    for (const PanelNumbers& p : panels)
      if (const Index at = j - (p.against - held); at < p.width)
        return p.a[static_cast<std::size_t>((p.against + at) * p.width + at)];
    return -1;
  }

  Index n, held, count;
  Context& context;
  Basis<T> basis;
  std::vector<T> before;
  std::vector<PanelNumbers> panels;
};

Numbers unit_rows(Index n, Index count, std::uint64_t seed) {
  Numbers w = random_numbers(static_cast<std::size_t>(n * count), seed);
  for (double& x : w) x /= std::sqrt(static_cast<double>(n));
  return w;
}

TEST_P(BasisTest, BlocksOfEverySize) {
  for_types([&]<class T>() {
    for (Index held : {0, 1, 13})
      for (Index count : {1, 2, 3, 4, 5, 7, 8, 12, 19}) {
        SCOPED_TRACE(std::to_string(held) + " held, " + std::to_string(count) + " new");
        const Index n = 90;
        Rows<T> rows(context(), n, held, unit_rows(n, count, 3));
        const Numbers status = rows.join(1);
        for (double s : status) EXPECT_EQ(s, detail::kRowFine);
        EXPECT_LE(orthogonality(rows.all(), n, held + count, kEps<T>), 2);
        EXPECT_LE(rows.lost(), 30 * std::sqrt(static_cast<double>(held + count)) * kEps<T>);
      }
  });
}

/// Rows that depend on others: repeated, zero, inside the basis, sums of rows before.
TEST_P(BasisTest, RowsThatAddNothingBecomeRandomOnes) {
  for_types([&]<class T>() {
    for (Index count : {3, 4, 8, 11}) {
      SCOPED_TRACE(std::to_string(count) + " rows");
      const Index n = 70, held = 6;
      Numbers w = unit_rows(n, count, 5);
      const auto row = [&](Index i) { return w.begin() + i * n; };
      std::copy(row(0), row(1), row(1));  // repeated
      Rows<T> first(context(), n, held, w);
      const Numbers inside = first.all();
      std::fill(row(2), row(2) + n, 0.0);  // zero
      if (count > 3) std::copy(inside.begin() + n, inside.begin() + 2 * n, row(3));
      if (count > 4)
        for (Index l = 0; l < n; ++l) row(5)[l] = row(0)[l] / 2 - row(4)[l] / 4;
      Rows<T> rows(context(), n, held, w);
      const Numbers status = rows.join(1);
      for (Index j : {1, 2, 3, 5})
        if (j < count) {
          EXPECT_EQ(rows.own(j), 0) << j;
        }
      EXPECT_EQ(status[0], detail::kRowFine);
      EXPECT_GT(rows.own(0), 0.5);
      EXPECT_LE(orthogonality(rows.all(), n, held + count, kEps<T>), 3);
      EXPECT_LE(rows.lost(), 60 * std::sqrt(static_cast<double>(held + count)) * kEps<T>);
    }
  });
}

/// Down to where a row is rounding: almost parallel rows, and rows almost inside the basis.
TEST_P(BasisTest, NearlyDependentRowsKeepTheirDirections) {
  for_types([&]<class T>() {
    for (double apart : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14}) {
      if (apart < 20 * kEps<T>) continue;
      SCOPED_TRACE(apart);
      const Index n = 120, held = 9, count = 4;
      Numbers w = unit_rows(n, count, 6);
      const auto row = [&](Index i) { return w.begin() + i * n; };
      for (Index l = 0; l < n; ++l) row(1)[l] = row(0)[l] + apart * row(1)[l];
      const Numbers inside = Rows<T>(context(), n, held, w).all();
      for (Index l = 0; l < n; ++l) row(3)[l] = inside[static_cast<std::size_t>(2 * n + l)] + apart * row(3)[l];
      Rows<T> rows(context(), n, held, w);
      rows.join(1e-3);  // of which less would be rounding
      EXPECT_LE(orthogonality(rows.all(), n, held + count, kEps<T>), 3);
      EXPECT_LE(rows.lost(), 60 * kEps<T> * std::sqrt(static_cast<double>(held + count)));
      Rows<T> single(context(), n, held, Numbers(row(3), row(3) + n));
      single.join(1e-3);
      EXPECT_LE(orthogonality(single.all(), n, held + 1, kEps<T>), 3);
      EXPECT_LE(single.lost(), 60 * kEps<T> * std::sqrt(static_cast<double>(held + 1)));
    }
  });
}

TEST_P(BasisTest, TheLastDimensionsAreFilled) {
  for_types([&]<class T>() {
    const Index n = 20, held = 15, count = 5;
    Numbers w(static_cast<std::size_t>(n * count), 0.0);
    Rows<T> rows(context(), n, held, w);
    for (double s : rows.join(1)) EXPECT_EQ(s, detail::kRowNegligible);
    EXPECT_LE(orthogonality(rows.all(), n, n, kEps<T>), 10);
  });
}

/// The factor that orthonormalize returns: upper triangular, rows back, 0 on the diagonal where a row added nothing.
TEST_P(BasisTest, TriangularFactor) {
  for_types([&]<class T>() {
    const Index n = 100, count = 11;
    Numbers w = unit_rows(n, count, 8);
    std::copy(w.begin() + 2 * n, w.begin() + 3 * n, w.begin() + 9 * n);
    Basis<T> basis(context(), n, count);
    const std::vector<T> before = narrow<T>(w);
    context().to_device(before.data(), basis.row(0), static_cast<Index>(before.size() * sizeof(T)));
    std::vector<double> r;
    basis.orthonormalize(0, count, 1, 3, r);
    std::vector<T> after(before.size());
    context().to_host(basis.row(0), after.data(), static_cast<Index>(after.size() * sizeof(T)));
    const Numbers q = widen(after);
    EXPECT_LE(orthogonality(q, n, count, kEps<T>), 2);
    for (Index j = 0; j < count; ++j) {
      Numbers rest(before.begin() + j * n, before.begin() + (j + 1) * n);
      for (Index l = 0; l < count; ++l) {
        const double entry = r[static_cast<std::size_t>(l * count + j)];
        if (l > j) {
          EXPECT_EQ(entry, 0);
        }
        for (Index i = 0; i < n; ++i)
          rest[static_cast<std::size_t>(i)] -= entry * q[static_cast<std::size_t>(l * n + i)];
      }
      EXPECT_LE(length(rest, n, 0), 100 * kEps<T>) << j;
      EXPECT_EQ(r[static_cast<std::size_t>(j * count + j)] == 0, j == 9) << j;
    }
  });
}

}  // namespace
}  // namespace hso::test
