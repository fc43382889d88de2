// SPDX-License-Identifier: Apache-2.0
#include "prune/select/low_rank.hpp"

#include <algorithm>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "prune/select/ascending_scores.hpp"
#include "prune/select/quotas.hpp"

namespace hso::detail {

namespace {

class LowRankSurgery {
 public:
  LowRankSurgery(Context& context, const LowRankModel& model, Span<const double> theta, const SurgeryOptions& options)
      : model_(model),
        options_(options),
        context_(context),
        ops_(context_.ops<double>()),
        m_(static_cast<Index>(model.parameters.size())),
        kept_(model.parameters.size(), 1),
        lost_(model.parameters.size(), 0),
        scratch_(context_, m_ * model.rank),
        factor_(context_, model.rank * model.rank),
        z_(context_, model.rank),
        now_(context_, m_),
        diagonal_(context_, m_),
        scores_(context_, m_),
        counts_(options.quotas) {
    result_.theta.assign(theta.begin(), theta.end());
    for (const Index j : model.parameters) w_.push_back(theta[static_cast<std::size_t>(j)]);
    weights_ = Buffer<double>(context_, w_);
  }

  Surgery run(Index rounds) {
    for (Index round = 0; round < rounds; ++round) {
      const auto gone = static_cast<Index>(result_.removals.size());
      const Index share = (options_.count - gone + rounds - round - 1) / (rounds - round);
      if (share == 0 || remove(share) == 0) break;
    }
    factor_kept();
    weights_now();
    const std::vector<double> now = now_.download();
    for (std::size_t i = 0; i < kept_.size(); ++i) result_.theta[place(i)] = kept_[i] != 0 ? now[i] : 0;
    for (const Removal& r : result_.removals) result_.predicted += r.predicted;
    return std::move(result_);
  }

 private:
  std::size_t place(std::size_t i) const { return static_cast<std::size_t>(model_.parameters[i]); }
  const double* columns() const { return model_.columns.data(); }

  /// factor_ = the Cholesky factor of tau I + U_S U_S'
  void factor_kept() {
    const Index r = model_.rank;
    const Buffer<double> kept(context_, kept_);
    ops_.for_each(m_, r, ScaleRows<double>{kept.data(), columns(), scratch_.data(), r});
    ops_.gemm({r, r, m_, scratch_.data(), r, true, columns(), r, false, factor_.data(), r});
    ops_.for_each(1, r, AddDiagonal<double>{factor_.data(), r, model_.tau});
    if (ops_.potrf(r, factor_.data()) != 0)
      throw NumericalError("pruning by a low rank: the model is not positive definite");
  }
  /// now_ = w + U' M^-1 z
  void weights_now() {
    const Index r = model_.rank;
    const Buffer<double> lost(context_, lost_);
    ops_.gemm({1, r, m_, lost.data(), m_, false, columns(), r, false, z_.data(), r});
    ops_.potrs(r, 1, factor_.data(), z_.data());
    ops_.copy(m_, weights_.data(), now_.data());
    GemmArgs<double> add{m_, 1, r, columns(), r, false, z_.data(), 1, false, now_.data(), 1};
    add.beta = 1;
    ops_.gemm(add);
  }
  /// scores_ = w_j^2 / (2 [(H_SS)^-1]_jj) of what is kept and may go, infinite for the rest.
  void score(const std::vector<double>& open) {
    factor_kept();
    weights_now();
    const Index r = model_.rank;
    ops_.copy(m_ * r, columns(), scratch_.data());
    ops_.potrs(r, m_, factor_.data(), scratch_.data());
    ops_.dots_on_device(m_, r, columns(), r, scratch_.data(), r, scores_.data());
    ops_.fill(m_, 1 / model_.tau, diagonal_.data());
    ops_.axpby(m_, -1 / model_.tau, scores_.data(), 1.0, diagonal_.data());
    Buffer<double> may_go(context_, open);
    Elimination<double> e{};
    e.m = m_;
    e.w = now_.data();
    e.d = diagonal_.data();
    e.open = may_go.data();
    ops_.for_each(1, m_,
                  EliminationScore<double>{e, scores_.data(), std::numeric_limits<double>::min(),
                                           std::numeric_limits<double>::infinity()});
  }

  /// The cheapest `share` that quotas allow; how many it were.
  Index remove(Index share) {
    std::vector<std::uint8_t> flags(kept_.size());
    for (std::size_t i = 0; i < flags.size(); ++i) flags[i] = kept_[i] != 0 && options_.removable[place(i)] != 0;
    score({flags.begin(), flags.end()});
    AscendingScores ascending(context_, scores_, flags, share);
    Index taken = 0;
    for (auto next = ascending.next(); next && taken < share; next = ascending.next()) {
      const auto i = static_cast<std::size_t>(next->parameter);
      const Index j = model_.parameters[i];
      if (!counts_.allows(j)) continue;
      counts_.count(j);
      kept_[i] = 0;
      lost_[i] = w_[i];
      result_.removals.push_back({j, next->predicted});
      ++taken;
    }
    return taken;
  }

  const LowRankModel& model_;
  const SurgeryOptions& options_;
  Context& context_;
  Ops<double>& ops_;
  Index m_;
  std::vector<double> w_, kept_, lost_;  ///< weights; 1 for what is kept; the weights of what went
  Buffer<double> weights_, scratch_, factor_, z_, now_, diagonal_, scores_;
  QuotaCounts counts_;
  Surgery result_;
};

}  // namespace

Surgery operate_low_rank(Context& context, const LowRankModel& model, Span<const double> theta,
                         const SurgeryOptions& options, Index rounds) {
  if (!(model.tau > 0)) throw NumericalError("pruning by a low rank: the flat level is 0, expected more damping");
  return LowRankSurgery(context, model, theta, options).run(std::max<Index>(1, rounds));
}

}  // namespace hso::detail
