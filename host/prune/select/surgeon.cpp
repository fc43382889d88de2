// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/prune/surgeon.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <queue>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "io/shown_text.hpp"
#include "prune/select/block_matrix.hpp"
#include "prune/select/eliminator.hpp"
#include "prune/select/quotas.hpp"
#include "prune/select/removal_order.hpp"

namespace hso {

using namespace detail;

namespace {

Index size_of(const SurgeryBlock& block) { return static_cast<Index>(block.rows.size()); }

template <class T>
void check_blocks(const SurgeryModel<T>& model, std::size_t n) {
  for (const SurgeryBlock& b : model.blocks) {
    const Index matrices = static_cast<Index>(model.orders.size());
    if (b.matrix < 0 || b.matrix >= matrices || b.parameters.size() != b.rows.size())
      throw InputError(
          fmt::format("obs_prune: a block of matrix {} with {} parameters and {} rows, expected one of {} "
                      "matrices and as many of both",
                      b.matrix, b.parameters.size(), b.rows.size(), matrices));
    const auto outside = [](const std::vector<Index>& x, Index end) {
      return std::any_of(x.begin(), x.end(), [end](Index i) { return i < 0 || i >= end; });
    };
    if (outside(b.parameters, static_cast<Index>(n)) ||
        outside(b.rows, model.orders[static_cast<std::size_t>(b.matrix)]))
      throw InputError("obs_prune: a block has a parameter or a row that is out of range");
  }
}

void check(Span<const double> theta, const SurgeryOptions& options) {
  const auto expect = [&](std::size_t found, const char* what) {
    if (found != theta.size())
      throw InputError(
          fmt::format("obs_prune: {} has {} entries, expected {} as theta has", what, found, theta.size()));
  };
  expect(options.removable.size(), "removable");
  for (const Quota& quota : options.quotas) expect(quota.group.size(), "a quota's group");
  if (options.count < 0) throw UsageError(fmt::format("obs_prune: count {}, expected at least 0", options.count));
  if (options.capacity < 1)
    throw UsageError(fmt::format("obs_prune: capacity {}, expected 1 or more", options.capacity));
  if (!(options.damping >= 0) || !std::isfinite(options.damping))
    throw UsageError(
        fmt::format("obs_prune: damping {}, expected a finite number, at least 0", unsigned_nan(options.damping)));
}

template <class T>
class Operation {
 public:
  Operation(Context& context, const SurgeryModel<T>& model, Span<const double> theta, const SurgeryOptions& options)
      : context_(context),
        model_(model),
        theta_(theta),
        options_(options),
        traces_(model.blocks.size()),
        replaced_(model.blocks.size(), false),
        horizon_(options.count) {}

  Surgery run() {
    trace_all();
    if (ran_out()) {  // a quota took from others what had been counted on
      traces_.assign(traces_.size(), {});
      result_ = {};
      whole_ = true;
      trace_all();
    }
    const auto all = static_cast<Index>(result_.removals.size());
    for (const Index count : options_.watched)
      if (options_.watch && 0 < count && count < all) options_.watch(count, after(count));
    result_.theta = after(all);
    if (options_.watch && all > 0) options_.watch(all, result_.theta);
    for (const Removal& r : result_.removals) result_.predicted += r.predicted;
    return std::move(result_);
  }

 private:
  void trace_all() {
    for_matrices([this](BlockMatrix<T>& matrix, std::size_t first, std::size_t last) { trace(matrix, first, last); });
    select();
  }

  /// work(matrix, first block, one beyond the last) with the blocks' matrix in memory.
  template <class Work>
  void for_matrices(const Work& work) {
    const auto& blocks = model_.blocks;
    for (std::size_t first = 0, last = 0; first < blocks.size(); first = last) {
      const Index matrix = blocks[first].matrix;
      while (last < blocks.size() && blocks[last].matrix == matrix) ++last;
      const Index order = model_.orders.at(static_cast<std::size_t>(matrix));
      require_memory(context_, fmt::format("pruning by a quadratic model of order {}", order), order,
                     [&](Index n) { return surgery_bytes<T>(n, n); });
      Buffer<T> a(context_, order * order);
      model_.fill(matrix, a.data());
      if (!std::isfinite(context_.ops<T>().max_abs(order * order, a.data())))
        throw NumericalError("obs_prune: the quadratic model has entries that are not finite");
      BlockMatrix<T> block(context_, a.data(), order, options_.damping);
      work(block, first, last);
    }
  }

  void trace(BlockMatrix<T>& matrix, std::size_t first, std::size_t last) {
    std::vector<std::size_t> blocks;
    for (std::size_t b = first; b < last; ++b)
      if (size_of(model_.blocks[b]) > 0) blocks.push_back(b);
    // Large blocks first: a chunk is as wide as its largest.
    std::stable_sort(blocks.begin(), blocks.end(), [&](std::size_t a, std::size_t b) {
      return size_of(model_.blocks[a]) > size_of(model_.blocks[b]);
    });
    for (std::size_t i = 0; i < blocks.size();) {
      const Index m = size_of(model_.blocks[blocks[i]]);
      const Index fit = context_.ops<T>().chunk_bytes() / std::max<Index>(1, m * m * static_cast<Index>(sizeof(T)));
      const std::size_t lanes = std::min(blocks.size() - i, static_cast<std::size_t>(std::max<Index>(1, fit)));
      trace_chunk(matrix, {blocks.data() + i, lanes}, m);
      i += lanes;
    }
  }

  /// The padding of a lane is a row of the identity that is not open.
  void trace_chunk(BlockMatrix<T>& matrix, Span<const std::size_t> blocks, Index m) {
    const auto lanes = static_cast<Index>(blocks.size());
    Eliminator<T> eliminator(context_, lanes, m, options_.capacity);
    std::vector<T> w(static_cast<std::size_t>(lanes * m)), open(w.size());
    for (Index k = 0; k < lanes; ++k) {
      const SurgeryBlock& block = model_.blocks[blocks[static_cast<std::size_t>(k)]];
      const std::string note = matrix.inverse(block.rows, m, eliminator.inverse() + k * m * m);
      replaced_[blocks[static_cast<std::size_t>(k)]] = !note.empty();
      if (!note.empty() && (result_.notes.empty() || result_.notes.back() != note)) result_.notes.push_back(note);
      for (Index i = 0; i < size_of(block); ++i) {
        const auto j = static_cast<std::size_t>(block.parameters[static_cast<std::size_t>(i)]);
        w[static_cast<std::size_t>(k * m + i)] = static_cast<T>(theta_[j]);
        open[static_cast<std::size_t>(k * m + i)] = options_.removable[j] != 0 ? T(1) : T(0);
      }
    }
    eliminator.start(w, open);
    follow(eliminator, blocks, m, open);
  }

  /// Steps until no lane has anything left, or the one block of the model gave what was asked.
  void follow(Eliminator<T>& eliminator, Span<const std::size_t> blocks, Index m, std::vector<T>& open) {
    const bool alone = model_.blocks.size() == 1;
    BlockQuotas quotas(options_.quotas, model_.blocks, blocks);
    for (Index step = 0; step < (alone ? std::min(m, options_.count) : m); ++step) {
      if (quotas.close(step, m, Span<T>(open))) eliminator.reopen(open);
      eliminator.step();
      const auto removed = eliminator.removed();
      const auto costs = eliminator.costs();
      bool any = false;
      for (std::size_t k = 0; k < removed.size(); ++k) {
        RemovalOrder& trace = traces_[blocks[k]];
        if (removed[k] < 0 || trace.cut) continue;
        const double cost = model_.blocks[blocks[k]].scale * static_cast<double>(costs[k]);
        trace.dearest = std::max(trace.dearest, cost);
        trace.cut = !alone && !whole_ && horizon_.beyond(trace.dearest);
        if (trace.cut) continue;
        any = true;
        horizon_.see(trace.dearest);
        trace.order.push_back(removed[k]);
        trace.costs.push_back(cost);
        open[k * static_cast<std::size_t>(m) + static_cast<std::size_t>(removed[k])] = T(0);
        quotas.count(k, removed[k]);
      }
      if (!any) break;
    }
  }

  /// The cheapest next removal of all blocks, until it is enough. One that a quota forbids is passed over.
  void select() {
    using Next = std::pair<double, std::size_t>;
    std::priority_queue<Next, std::vector<Next>, std::greater<>> queue;
    const auto offer = [&](std::size_t b) {
      if (traces_[b].next < traces_[b].order.size()) queue.emplace(traces_[b].costs[traces_[b].next], b);
    };
    for (std::size_t b = 0; b < traces_.size(); ++b) offer(b);
    QuotaCounts counts(options_.quotas);
    refused_ = false;
    while (!queue.empty() && static_cast<Index>(result_.removals.size()) < options_.count) {
      const auto [cost, b] = queue.top();
      queue.pop();
      const Index at = traces_[b].order[traces_[b].next++];
      const Index parameter = model_.blocks[b].parameters[static_cast<std::size_t>(at)];
      if (counts.allows(parameter)) {
        counts.count(parameter);
        result_.removals.push_back({parameter, cost});
      } else {
        refused_ = true;
      }
      offer(b);
    }
  }

  bool ran_out() const {
    const bool full = static_cast<Index>(result_.removals.size()) == options_.count && !refused_;
    return !full && std::any_of(traces_.begin(), traces_.end(),
                                [](const RemovalOrder& t) { return t.cut && t.next == t.order.size(); });
  }

  /// theta once the first `count` are gone: w_S + H_SS^-1 H_SQ w_Q for the kept part S of every block that lost some.
  std::vector<double> after(Index count) {
    std::vector<double> theta(theta_.begin(), theta_.end());
    std::vector<std::uint8_t> removed(theta.size(), 0);
    for (Index k = 0; k < count; ++k)
      removed[static_cast<std::size_t>(result_.removals[static_cast<std::size_t>(k)].parameter)] = 1;
    for_matrices([&](BlockMatrix<T>& matrix, std::size_t first, std::size_t last) {
      for (std::size_t b = first; b < last; ++b) compensate(matrix, b, removed, theta);
    });
    for (std::size_t j = 0; j < theta.size(); ++j)
      if (removed[j] != 0) theta[j] = 0;
    return theta;
  }

  void compensate(BlockMatrix<T>& matrix, std::size_t b, const std::vector<std::uint8_t>& removed,
                  std::vector<double>& theta) {
    const SurgeryBlock& block = model_.blocks[b];
    std::vector<std::uint8_t> gone;
    for (const Index j : block.parameters) gone.push_back(removed[static_cast<std::size_t>(j)]);
    if (std::find(gone.begin(), gone.end(), std::uint8_t{1}) == gone.end()) return;
    std::vector<T> w;
    for (const Index j : block.parameters) w.push_back(static_cast<T>(theta_[static_cast<std::size_t>(j)]));
    const std::vector<T> shifts = matrix.compensation(block.rows, replaced_[b], w, gone);
    for (std::size_t i = 0, kept = 0; i < gone.size(); ++i)
      if (gone[i] == 0) theta[static_cast<std::size_t>(block.parameters[i])] += static_cast<double>(shifts[kept++]);
  }

  Context& context_;
  const SurgeryModel<T>& model_;
  Span<const double> theta_;
  const SurgeryOptions& options_;
  std::vector<RemovalOrder> traces_;
  std::vector<bool> replaced_;  ///< blocks that were not positive definite
  Horizon horizon_;
  bool whole_ = false;    ///< no trace is cut
  bool refused_ = false;  ///< a quota ended a block's order
  Surgery result_;
};

}  // namespace

template <class T>
Surgery obs_prune(Context& context, const SurgeryModel<T>& model, Span<const double> theta,
                  const SurgeryOptions& options) {
  check(theta, options);
  check_blocks(model, theta.size());
  return Operation<T>(context, model, theta, options).run();
}

template <class T>
Index surgery_bytes(Index order, Index block) {
  const Index matrices = checked_multiply(order, order) + 2 * checked_multiply(block, block);
  return checked_multiply(matrices + 48 * block, static_cast<Index>(sizeof(T)));
}

template Surgery obs_prune<float>(Context&, const SurgeryModel<float>&, Span<const double>, const SurgeryOptions&);
template Surgery obs_prune<double>(Context&, const SurgeryModel<double>&, Span<const double>, const SurgeryOptions&);
template Index surgery_bytes<float>(Index, Index);
template Index surgery_bytes<double>(Index, Index);

}  // namespace hso
