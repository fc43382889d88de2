// SPDX-License-Identifier: Apache-2.0
#include "prune/select/block_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "linalg/mean_diagonal.hpp"

namespace hso::detail {

template <class T>
std::string make_positive_definite(Context& context, Index size, Index m, T* h, double delta, bool reciprocal) {
  const EighResult e = eigh<T>(context, {h, Shape{m, m}});
  if (!e.ok()) throw NumericalError(fmt::format("pruning: a block's eigendecomposition: {}", name_of(e.status)));
  double top = 0;
  for (const double value : e.values) top = std::max(top, std::abs(value));
  const double floor = std::max(delta, top * static_cast<double>(m) * std::numeric_limits<T>::epsilon());
  std::vector<double> f(e.values.size());
  std::transform(e.values.begin(), e.values.end(), f.begin(), [=](double value) {
    const double kept = floor > 0 ? std::max(std::abs(value), floor) : 1;
    return reciprocal ? 1 / kept : kept;
  });
  Scratch scratch(context);
  T* made = scratch.take<T>(m * m);
  from_spectrum<T>(context, m, h, f, made);
  context.ops<T>().copy(m * m, made, h);
  return fmt::format(
      "a block of {} is not positive definite (smallest eigenvalue {:.3g}): absolute values of at least "
      "{:.3g} instead",
      size, e.values.front(), floor);
}

template <class T>
void BlockMatrix<T>::gather(const std::vector<Index>& rows, Index m, T* to) {
  std::vector<Index> index(static_cast<std::size_t>(m), -1);
  std::copy(rows.begin(), rows.end(), index.begin());
  const Buffer<Index> where(context_, index);
  auto& ops = context_.ops<T>();
  ops.for_each(m, m, GatherBlock<T>{a_, order_, where.data(), to, m, T(0)});
  delta_ = damping_ * mean_diagonal(context_, m, to, static_cast<Index>(rows.size()));
  ops.for_each(1, m, AddDiagonal<T>{to, m, static_cast<T>(delta_)});
}

/// A's Cholesky factor in its place. What is not finite is refused here: factorisations may let NaN through.
template <class T>
bool BlockMatrix<T>::factors(Index m, T* a) {
  auto& ops = context_.ops<T>();
  const BlockingWork work(m);
  return std::isfinite(ops.max_abs(m * m, a)) && ops.potrf(m, a) == 0;
}

template <class T>
std::string BlockMatrix<T>::inverse(const std::vector<Index>& rows, Index m, T* to) {
  auto& ops = context_.ops<T>();
  if (inverse_of_ != nullptr && *inverse_of_ == rows && inverse_order_ == m) {
    ops.copy(m * m, inverse_.data(), to);
    return inverse_note_;
  }
  gather(rows, m, to);
  inverse_note_.clear();
  const BlockingWork work(m);
  if (!factors(m, to) || ops.potri(m, to) != 0) {
    gather(rows, m, to);
    inverse_note_ = make_positive_definite(context_, static_cast<Index>(rows.size()), m, to, delta_, true);
  }
  if (inverse_.size() != m * m) inverse_ = Buffer<T>(context_, m * m);
  ops.copy(m * m, to, inverse_.data());
  inverse_of_ = &rows;
  inverse_order_ = m;
  return inverse_note_;
}

template <class T>
std::vector<T> BlockMatrix<T>::compensation(const std::vector<Index>& rows, bool replaced, const std::vector<T>& w,
                                            const std::vector<std::uint8_t>& gone) {
  const auto m = static_cast<Index>(rows.size());
  std::vector<T> lost(w.size(), T(0));
  std::vector<Index> kept;
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (gone[i] != 0)
      lost[i] = w[i];
    else
      kept.push_back(static_cast<Index>(i));
  }
  if (kept.empty()) return {};
  auto& ops = context_.ops<T>();
  const auto size = static_cast<Index>(kept.size());
  Buffer<T> h(context_, m * m), part(context_, size * size), full(context_, m), shift(context_, size);
  gather(rows, m, h.data());
  if (replaced) make_positive_definite(context_, m, m, h.data(), delta_, false);
  const Buffer<T> values(context_, lost);
  const Buffer<Index> where(context_, kept);
  ops.gemm({.m = m,
            .n = 1,
            .k = m,
            .a = h.data(),
            .lda = m,
            .trans_a = false,
            .b = values.data(),
            .ldb = 1,
            .trans_b = false,
            .c = full.data(),
            .ldc = 1});
  ops.for_each(1, size, GatherEntries<T>{full.data(), m, where.data(), shift.data(), size});
  const auto cut = [&] {
    ops.for_each(size, size, GatherBlock<T>{h.data(), m, where.data(), part.data(), size, T(0)});
  };
  cut();
  if (factors(size, part.data())) {
    ops.potrs(size, 1, part.data(), shift.data());
    return shift.download();
  }
  cut();
  const SolveReport solved = solve<T>(context_, {part.data(), Shape{size, size}}, {shift.data(), Shape{1, size}});
  if (solved.status != LinalgStatus::ok)
    throw NumericalError(fmt::format("obs_prune: the kept part of a block cannot be solved ({}), expected more damping",
                                     name_of(solved.status)));
  return shift.download();
}

template std::string make_positive_definite<float>(Context&, Index, Index, float*, double, bool);
template std::string make_positive_definite<double>(Context&, Index, Index, double*, double, bool);
template class BlockMatrix<float>;
template class BlockMatrix<double>;

}  // namespace hso::detail
