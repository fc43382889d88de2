// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/surgeon.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <queue>

#include "hsogpu/error.hpp"
#include "hsogpu/linalg.hpp"
#include "prune/eliminator.hpp"
#include "prune/quotas.hpp"

namespace hso {

using namespace detail;

namespace {

Index size_of(const SurgeryBlock& block) { return static_cast<Index>(block.rows.size()); }

void check(Span<const double> theta, const SurgeryOptions& options) {
  const auto expect = [&](std::size_t found, const char* what) {
    if (found != theta.size())
      throw InputError(fmt::format("operate: {} has {} entries, expected {} as theta has", what, found, theta.size()));
  };
  expect(options.removable.size(), "removable");
  for (const Quota& quota : options.quotas) expect(quota.group.size(), "a quota's group");
  if (options.count < 0) throw UsageError(fmt::format("operate: count {}, expected at least 0", options.count));
  if (options.capacity < 1) throw UsageError(fmt::format("operate: capacity {}, expected 1 or more", options.capacity));
  if (!(options.damping >= 0) || !std::isfinite(options.damping))
    throw UsageError(fmt::format("operate: damping {}, expected a finite number, at least 0", options.damping));
}

/// A block's removals in its own greedy order.
struct Trace {
  std::vector<Index> order;   ///< positions in the block
  std::vector<double> costs;  ///< scaled
  double dearest = 0;         ///< of them
  bool cut = false;           ///< there would have been more
};

/// The merge of the blocks' orders takes removals in the order of the dearest one up to each. So nothing beyond the
/// count-th smallest of those that were seen is ever taken, and a trace can end there.
class Horizon {
 public:
  explicit Horizon(Index count) : count_(static_cast<std::size_t>(std::max<Index>(1, count))) {}
  void see(double cost) {
    if (seen_.size() == count_ && cost >= seen_.top()) return;
    seen_.push(cost);
    if (seen_.size() > count_) seen_.pop();
  }
  bool beyond(double cost) const { return seen_.size() == count_ && cost > seen_.top(); }

 private:
  std::size_t count_;
  std::priority_queue<double> seen_;  ///< the smallest `count`
};

template <class T>
class Operation {
 public:
  Operation(Context& context, const SurgeryModel<T>& model, Span<const double> theta, const SurgeryOptions& options)
      : context_(context),
        model_(model),
        theta_(theta),
        options_(options),
        traces_(model.blocks.size()),
        horizon_(options.count) {}

  Surgery run() {
    result_.theta.assign(theta_.begin(), theta_.end());
    for_matrices([this](std::size_t first, std::size_t last) { trace(first, last); });
    select();
    if (ran_out()) {  // a quota took from others what had been counted on
      traces_.assign(traces_.size(), {});
      result_.removals.clear();
      result_.notes.clear();
      whole_ = true;
      for_matrices([this](std::size_t first, std::size_t last) { trace(first, last); });
      select();
    }
    if (model_.blocks.size() > 1)
      for_matrices([this](std::size_t first, std::size_t last) {
        for (std::size_t b = first; b < last; ++b) compensate(b);
      });
    for (const Removal& r : result_.removals) {
      result_.theta[static_cast<std::size_t>(r.parameter)] = 0;
      result_.predicted += r.predicted;
    }
    return std::move(result_);
  }

 private:
  /// work(first block, one beyond the last) with the blocks' matrix in memory.
  template <class Work>
  void for_matrices(const Work& work) {
    const auto& blocks = model_.blocks;
    for (std::size_t first = 0, last = 0; first < blocks.size(); first = last) {
      const Index matrix = blocks[first].matrix;
      while (last < blocks.size() && blocks[last].matrix == matrix) ++last;
      order_ = model_.orders.at(static_cast<std::size_t>(matrix));
      require_memory(context_, fmt::format("pruning by a quadratic model of order {}", order_), order_,
                     [&](Index n) { return surgery_bytes<T>(n, n); });
      matrix_ = Buffer<T>(context_, order_ * order_);
      model_.fill(matrix, matrix_.data());
      if (!std::isfinite(context_.ops<T>().max_abs(order_ * order_, matrix_.data())))
        throw NumericalError("operate: the quadratic model has entries that are not finite");
      work(first, last);
      matrix_ = {};
    }
  }

  void trace(std::size_t first, std::size_t last) {
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
      trace_chunk({blocks.data() + i, lanes}, m);
      i += lanes;
    }
    inverse_of_ = nullptr;
  }

  /// The padding of a lane is a row of the identity that is not open.
  void trace_chunk(Span<const std::size_t> blocks, Index m) {
    const auto lanes = static_cast<Index>(blocks.size());
    Eliminator<T> eliminator(context_, lanes, m, options_.capacity);
    std::vector<T> w(static_cast<std::size_t>(lanes * m)), open(w.size());
    for (Index k = 0; k < lanes; ++k) {
      const SurgeryBlock& block = model_.blocks[blocks[static_cast<std::size_t>(k)]];
      invert(block, m, eliminator.inverse() + k * m * m);
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
        Trace& trace = traces_[blocks[k]];
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
    if (alone) take(model_.blocks[0].parameters, eliminator.parameters());
  }

  void take(const std::vector<Index>& parameters, const std::vector<T>& values) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      result_.theta[static_cast<std::size_t>(parameters[i])] = static_cast<double>(values[i]);
  }

  /// to[m][m]: the inverse of the damped block and the identity beside it. Rows of one layer often keep the same
  /// inputs: then the last inverse serves again.
  void invert(const SurgeryBlock& block, Index m, T* to) {
    auto& ops = context_.ops<T>();
    if (inverse_of_ != nullptr && *inverse_of_ == block.rows && inverse_order_ == m)
      return ops.copy(m * m, inverse_.data(), to);
    gather(block.rows, m, to);
    if (ops.potrf(m, to) != 0 || ops.potri(m, to) != 0) {
      gather(block.rows, m, to);
      invert_by_size(block, m, to);
    }
    if (inverse_.size() != m * m) inverse_ = Buffer<T>(context_, m * m);
    ops.copy(m * m, to, inverse_.data());
    inverse_of_ = &block.rows;
    inverse_order_ = m;
  }

  void invert_by_size(const SurgeryBlock& block, Index m, T* to) {
    const EighResult e = eigh<T>(context_, {to, Shape{m, m}});
    if (!e.ok()) throw NumericalError(fmt::format("operate: a block's eigendecomposition {}", name_of(e.status)));
    std::vector<double> f(e.values.size());
    double top = 0;
    for (const double value : e.values) top = std::max(top, std::abs(value));
    const double floor = std::max(delta_, top * static_cast<double>(m) * std::numeric_limits<T>::epsilon());
    std::transform(e.values.begin(), e.values.end(), f.begin(),
                   [=](double value) { return floor > 0 ? 1 / std::max(std::abs(value), floor) : 1.0; });
    Scratch scratch(context_);
    T* inverse = scratch.take<T>(m * m);
    from_spectrum<T>(context_, m, to, f, inverse);
    context_.ops<T>().copy(m * m, inverse, to);
    result_.notes.push_back(
        fmt::format("a block of {} is not positive definite (smallest eigenvalue {:.3g}): absolute "
                    "values of at least {:.3g} instead",
                    size_of(block), e.values.front(), floor));
  }

  /// to[m][m] = A_SS + delta I beside the identity.
  void gather(const std::vector<Index>& rows, Index m, T* to) {
    std::vector<Index> index(static_cast<std::size_t>(m), -1);
    std::copy(rows.begin(), rows.end(), index.begin());
    const Buffer<Index> where(context_, index);
    auto& ops = context_.ops<T>();
    ops.for_each(m, m, GatherBlock<T>{matrix_.data(), order_, where.data(), to, m, T(0)});
    Buffer<T> diagonal(context_, m);
    ops.for_each(1, m, Diagonal<T>{to, diagonal.data(), m});
    const std::vector<T> entries = diagonal.download();
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) sum += static_cast<double>(entries[i]);
    delta_ = options_.damping * std::abs(sum) / std::max<double>(1, static_cast<double>(rows.size()));
    ops.for_each(1, m, AddDiagonal<T>{to, m, static_cast<T>(delta_)});
  }

  /// The cheapest next removal of all blocks, until it is enough.
  void select() {
    using Next = std::pair<double, std::size_t>;
    std::priority_queue<Next, std::vector<Next>, std::greater<>> queue;
    taken_.assign(traces_.size(), 0);
    const auto offer = [&](std::size_t b) {
      if (taken_[b] < traces_[b].order.size()) queue.emplace(traces_[b].costs[taken_[b]], b);
    };
    for (std::size_t b = 0; b < traces_.size(); ++b) offer(b);
    QuotaCounts counts(options_.quotas);
    refused_ = false;
    while (!queue.empty() && static_cast<Index>(result_.removals.size()) < options_.count) {
      const auto [cost, b] = queue.top();
      queue.pop();
      const auto at = static_cast<std::size_t>(traces_[b].order[taken_[b]]);
      const Index parameter = model_.blocks[b].parameters[at];
      if (!counts.allows(parameter)) {  // the block's order ends here
        refused_ = true;
        continue;
      }
      counts.count(parameter);
      result_.removals.push_back({parameter, cost});
      ++taken_[b];
      offer(b);
    }
  }

  bool ran_out() const {
    for (std::size_t b = 0; b < traces_.size(); ++b)
      if (traces_[b].cut && taken_[b] == traces_[b].order.size() && !full()) return true;
    return false;
  }
  bool full() const { return static_cast<Index>(result_.removals.size()) == options_.count && !refused_; }

  /// w_S + H_SS^-1 H_SQ w_Q for the kept part S of a block.
  void compensate(std::size_t b) {
    if (taken_[b] == 0) return;
    const SurgeryBlock& block = model_.blocks[b];
    std::vector<std::uint8_t> gone(block.rows.size(), 0);
    for (std::size_t k = 0; k < taken_[b]; ++k) gone[static_cast<std::size_t>(traces_[b].order[k])] = 1;
    std::vector<Index> rows, parameters;
    std::vector<T> removed(static_cast<std::size_t>(order_), T(0));
    for (std::size_t i = 0; i < gone.size(); ++i) {
      const auto j = static_cast<std::size_t>(block.parameters[i]);
      if (gone[i] != 0) {
        removed[static_cast<std::size_t>(block.rows[i])] = static_cast<T>(theta_[j]);
      } else {
        rows.push_back(block.rows[i]);
        parameters.push_back(block.parameters[i]);
      }
    }
    if (!rows.empty()) add_shift(rows, parameters, removed);
  }

  void add_shift(const std::vector<Index>& rows, const std::vector<Index>& parameters, const std::vector<T>& removed) {
    auto& ops = context_.ops<T>();
    const auto m = static_cast<Index>(rows.size());
    Buffer<T> kept(context_, m * m), full(context_, order_), shift(context_, m);
    const Buffer<T> values(context_, removed);
    const Buffer<Index> where(context_, rows);
    ops.gemm({.m = order_,
              .n = 1,
              .k = order_,
              .a = matrix_.data(),
              .lda = order_,
              .trans_a = false,
              .b = values.data(),
              .ldb = 1,
              .trans_b = false,
              .c = full.data(),
              .ldc = 1});
    ops.for_each(1, m, GatherEntries<T>{full.data(), order_, where.data(), shift.data(), m});
    gather(rows, m, kept.data());
    if (ops.potrf(m, kept.data()) != 0) {
      gather(rows, m, kept.data());
      const SolveReport solved = solve<T>(context_, {kept.data(), Shape{m, m}}, {shift.data(), Shape{1, m}});
      if (solved.status != LinalgStatus::ok)
        throw NumericalError(
            fmt::format("operate: the kept part of a block cannot be solved ({}), expected a larger "
                        "damping",
                        name_of(solved.status)));
    } else {
      ops.potrs(m, 1, kept.data(), shift.data());
    }
    const std::vector<T> shifts = shift.download();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      result_.theta[static_cast<std::size_t>(parameters[i])] += static_cast<double>(shifts[i]);
  }

  Context& context_;
  const SurgeryModel<T>& model_;
  Span<const double> theta_;
  const SurgeryOptions& options_;
  Index order_ = 0;
  Buffer<T> matrix_, inverse_;
  const std::vector<Index>* inverse_of_ = nullptr;  ///< rows whose inverse is kept
  Index inverse_order_ = 0;
  double delta_ = 0;  ///< of the last gathered block
  std::vector<Trace> traces_;
  Horizon horizon_;
  bool whole_ = false;    ///< no trace is cut
  bool refused_ = false;  ///< a quota ended a block's order
  std::vector<std::size_t> taken_;
  Surgery result_;
};

}  // namespace

template <class T>
Surgery operate(Context& context, const SurgeryModel<T>& model, Span<const double> theta,
                const SurgeryOptions& options) {
  check(theta, options);
  return Operation<T>(context, model, theta, options).run();
}

template <class T>
Index surgery_bytes(Index order, Index block) {
  const Index matrices = checked_multiply(order, order) + 2 * checked_multiply(block, block);
  return checked_multiply(matrices + 48 * block, static_cast<Index>(sizeof(T)));
}

template Surgery operate<float>(Context&, const SurgeryModel<float>&, Span<const double>, const SurgeryOptions&);
template Surgery operate<double>(Context&, const SurgeryModel<double>&, Span<const double>, const SurgeryOptions&);
template Index surgery_bytes<float>(Index, Index);
template Index surgery_bytes<double>(Index, Index);

}  // namespace hso
