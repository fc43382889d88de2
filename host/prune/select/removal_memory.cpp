// SPDX-License-Identifier: Apache-2.0
#include "prune/select/removal_memory.hpp"

#include <algorithm>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/prune/surgeon.hpp"
#include "linalg/memory_needs.hpp"
#include "optim/preconditioned/axis_numbers.hpp"
#include "prune/select/stage.hpp"
#include "train/placed_data.hpp"

namespace hso {
namespace {

constexpr Index kDoubles = 6;  // vectors of theta's length in double precision: scores, theta and what sorts them

template <class T>
class RemovalBytes {
 public:
  RemovalBytes(Context& context, const ParameterLayout& layout, Index kept, Index samples, const RemovalRule& rule)
      : context_(context), layout_(layout), n_(layout.n), m_(kept), samples_(samples), rule_(rule) {}

  Index total() const {
    const Index vectors = checked_multiply(kDoubles * n_, static_cast<Index>(sizeof(double)));
    return vectors + by_score();
  }

 private:
  Index numbers(Index count) const { return checked_multiply(count, static_cast<Index>(sizeof(T))); }
  Index square(Index order) const { return numbers(checked_multiply(order, order)); }
  /// With the eigendecomposition that replaces a block which is not positive definite.
  Index surgery(Index order) const { return surgery_bytes<T>(order, order) + eigh_bytes<T>(context_, order); }
  /// While the matrix of the kept parameters is formed (kept_curvature).
  Index forming() const { return square(m_) + (m_ < n_ && 2 * m_ > n_ ? square(n_) : 0); }
  Index eigenvectors() const { return std::max(forming(), 2 * square(m_) + eigh_bytes<T>(context_, m_)); }

  Index by_score() const {
    switch (rule_.score) {
      case PruneScore::magnitude:
      case PruneScore::random:
      case PruneScore::gradient:
        return numbers(n_);
      case PruneScore::obd:
        return n_ <= detail::kDiagonalByMatrix ? forming() : numbers(3 * n_);
      case PruneScore::hsp:
      case PruneScore::hsp_literal:
        return rule_.rank > 0 ? leading() : eigenvectors();
      case PruneScore::hsp_saliency:
        return rule_.rank > 0 ? leading() : std::max(eigenvectors(), square(m_) + surgery(m_));
      case PruneScore::obs:
        return rule_.block > 0 ? surgery(rule_.block) : std::max(forming(), square(m_) + surgery(m_));
      case PruneScore::fisher:
        return numbers(checked_multiply(std::min(rule_.samples, samples_), n_)) + surgery(fisher_block());
      case PruneScore::kfac_obs:
        return numbers(3 * detail::axis_numbers(layout_, INT64_MAX, false, true)) + surgery(longest_row());
    }
    return 0;
  }

  /// Lanczos for rule.rank pairs, then their vectors in double precision, twice.
  Index leading() const {
    LanczosOptions o;
    o.count = std::min(rule_.rank, m_);
    o.basis = detail::lanczos_basis<T>(context_, m_, o);
    const detail::Needs needs = detail::lanczos_needs<T>(m_, o);
    const Index pairs = checked_multiply(2 * o.count * m_, static_cast<Index>(sizeof(double)));
    return needs.buffers + context_.arena().growth(needs.scratch) + pairs;
  }
  Index fisher_block() const {
    if (rule_.block > 0) return rule_.block;
    return n_ <= detail::kFisherWhole ? n_ : detail::kFisherBlock;
  }
  Index longest_row() const {
    Index longest = 1;
    for (const Shape& s : layout_.tensors)
      if (s.rank() >= 2) longest = std::max(longest, s.size() / s[0] + 1);
    return longest;
  }

  Context& context_;
  const ParameterLayout& layout_;
  Index n_, m_, samples_;
  const RemovalRule& rule_;
};

}  // namespace

template <class T>
Index removal_bytes(Context& context, const ParameterLayout& layout, Index kept, Index samples,
                    const RemovalRule& rule) {
  return RemovalBytes<T>(context, layout, kept, samples, rule).total();
}

template <class T>
Index finetuning_bytes(Context& context, const Graph<T>& graph, const ParameterLayout& layout, Index numbers,
                       const TrainOptions& options) {
  constexpr Index kVectors = 3, kRows = 2048;
  const auto method = make_optimizer<T>(options.optimizer, options.optimizer_settings);
  const Index batch = options.batch > 0 ? options.batch : kRows;
  const Index vectors = checked_multiply(kVectors * layout.n + numbers, static_cast<Index>(sizeof(T)));
  const auto tape = [&](Index lanes) { return Tape<T>::bytes(context, graph, std::max(batch, kRows), lanes); };
  return vectors + method->bytes(context, layout) + tape(1) + tape(0) + kScratchBytes;
}

template Index removal_bytes<float>(Context&, const ParameterLayout&, Index, Index, const RemovalRule&);
template Index removal_bytes<double>(Context&, const ParameterLayout&, Index, Index, const RemovalRule&);
template Index finetuning_bytes(Context&, const Graph<float>&, const ParameterLayout&, Index, const TrainOptions&);
template Index finetuning_bytes(Context&, const Graph<double>&, const ParameterLayout&, Index, const TrainOptions&);

}  // namespace hso
