// SPDX-License-Identifier: Apache-2.0
#include "prune/low_rank.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "hsogpu/error.hpp"
#include "prune/quotas.hpp"

namespace hso::detail {

namespace {

/// The Cholesky factor of a small positive definite matrix, in place; row-major, lower.
void factor(Index n, std::vector<double>& a) {
  const auto at = [&](Index i, Index j) -> double& { return a[static_cast<std::size_t>(i * n + j)]; };
  for (Index j = 0; j < n; ++j) {
    for (Index k = 0; k < j; ++k) at(j, j) -= at(j, k) * at(j, k);
    if (!(at(j, j) > 0)) throw NumericalError("pruning by a low rank: the model is not positive definite");
    at(j, j) = std::sqrt(at(j, j));
    for (Index i = j + 1; i < n; ++i) {
      for (Index k = 0; k < j; ++k) at(i, j) -= at(i, k) * at(j, k);
      at(i, j) /= at(j, j);
    }
  }
}

class LowRankSurgery {
 public:
  LowRankSurgery(const LowRankModel& model, Span<const double> theta, const SurgeryOptions& options)
      : model_(model),
        options_(options),
        m_(static_cast<Index>(model.parameters.size())),
        kept_(model.parameters.size(), 1),
        z_(static_cast<std::size_t>(model.rank), 0),
        counts_(options.quotas) {
    result_.theta.assign(theta.begin(), theta.end());
    for (const Index j : model.parameters) w_.push_back(theta[static_cast<std::size_t>(j)]);
  }

  Surgery run(Index rounds) {
    for (Index round = 0; round < rounds; ++round) {
      const auto gone = static_cast<Index>(result_.removals.size());
      const Index share = (options_.count - gone + rounds - round - 1) / (rounds - round);
      if (share == 0 || remove(share) == 0) break;
    }
    factor_kept();
    const std::vector<double> now = weights();
    for (Index i = 0; i < m_; ++i)
      result_.theta[place(i)] = kept_[static_cast<std::size_t>(i)] != 0 ? now[static_cast<std::size_t>(i)] : 0;
    for (const Removal& r : result_.removals) result_.predicted += r.predicted;
    return std::move(result_);
  }

 private:
  std::size_t place(Index i) const { return static_cast<std::size_t>(model_.parameters[static_cast<std::size_t>(i)]); }
  const double* row(Index k) const { return model_.u.data() + k * m_; }

  /// m_factor_ = the Cholesky factor of tau I + U_S U_S'
  void factor_kept() {
    const Index r = model_.rank;
    m_factor_.assign(static_cast<std::size_t>(r * r), 0);
    for (Index a = 0; a < r; ++a)
      for (Index b = 0; b <= a; ++b) {
        double sum = a == b ? model_.tau : 0;
        for (Index i = 0; i < m_; ++i) sum += kept_[static_cast<std::size_t>(i)] * row(a)[i] * row(b)[i];
        m_factor_[static_cast<std::size_t>(a * r + b)] = sum;
      }
    factor(r, m_factor_);
  }
  /// y := L^-1 x for every column i of x [r][m].
  void forward(std::vector<double>& x, Index columns) const {
    const Index r = model_.rank;
    for (Index a = 0; a < r; ++a) {
      double* target = x.data() + a * columns;
      for (Index b = 0; b < a; ++b) {
        const double l = m_factor_[static_cast<std::size_t>(a * r + b)];
        const double* source = x.data() + b * columns;
        for (Index i = 0; i < columns; ++i) target[i] -= l * source[i];
      }
      const double scale = 1 / m_factor_[static_cast<std::size_t>(a * r + a)];
      for (Index i = 0; i < columns; ++i) target[i] *= scale;
    }
  }
  /// w + U' M^-1 z
  std::vector<double> weights() const {
    const Index r = model_.rank;
    std::vector<double> s = z_;
    forward(s, 1);
    for (Index a = r; a-- > 0;) {
      for (Index b = a + 1; b < r; ++b)
        s[static_cast<std::size_t>(a)] -=
            m_factor_[static_cast<std::size_t>(b * r + a)] * s[static_cast<std::size_t>(b)];
      s[static_cast<std::size_t>(a)] /= m_factor_[static_cast<std::size_t>(a * r + a)];
    }
    std::vector<double> out = w_;
    for (Index a = 0; a < r; ++a)
      for (Index i = 0; i < m_; ++i) out[static_cast<std::size_t>(i)] += s[static_cast<std::size_t>(a)] * row(a)[i];
    return out;
  }

  /// w_j^2 tau / (2 (1 - |L^-1 u_j|^2)) of what is kept.
  std::vector<double> costs() {
    factor_kept();
    const std::vector<double> now = weights();
    std::vector<double> y = model_.u;
    forward(y, m_);
    std::vector<double> lost(static_cast<std::size_t>(m_), 1);
    for (Index a = 0; a < model_.rank; ++a)
      for (Index i = 0; i < m_; ++i) {
        const double v = y[static_cast<std::size_t>(a * m_ + i)];
        lost[static_cast<std::size_t>(i)] -= v * v;
      }
    for (std::size_t i = 0; i < lost.size(); ++i)
      lost[i] = 0.5 * now[i] * now[i] * model_.tau / std::max(lost[i], std::numeric_limits<double>::min());
    return lost;
  }

  /// The cheapest `share` that quotas allow; how many it were.
  Index remove(Index share) {
    const std::vector<double> cost = costs();
    std::vector<Index> order;
    for (Index i = 0; i < m_; ++i)
      if (kept_[static_cast<std::size_t>(i)] != 0 && options_.removable[place(i)] != 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
      return cost[static_cast<std::size_t>(a)] < cost[static_cast<std::size_t>(b)];
    });
    Index taken = 0;
    for (const Index i : order) {
      if (taken == share) break;
      const auto j = static_cast<Index>(place(i));
      if (!counts_.allows(j)) continue;
      counts_.count(j);
      kept_[static_cast<std::size_t>(i)] = 0;
      for (Index a = 0; a < model_.rank; ++a)
        z_[static_cast<std::size_t>(a)] += row(a)[i] * w_[static_cast<std::size_t>(i)];
      result_.removals.push_back({j, cost[static_cast<std::size_t>(i)]});
      ++taken;
    }
    return taken;
  }

  const LowRankModel& model_;
  const SurgeryOptions& options_;
  Index m_;
  std::vector<std::uint8_t> kept_;
  std::vector<double> w_, z_, m_factor_;
  QuotaCounts counts_;
  Surgery result_;
};

}  // namespace

Surgery operate_low_rank(const LowRankModel& model, Span<const double> theta, const SurgeryOptions& options,
                         Index rounds) {
  if (!(model.tau > 0)) throw NumericalError("pruning by a low rank: the flat level is 0, expected more damping");
  return LowRankSurgery(model, theta, options).run(std::max<Index>(1, rounds));
}

}  // namespace hso::detail
