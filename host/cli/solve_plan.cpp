// SPDX-License-Identifier: Apache-2.0
#include "cli/solve_plan.hpp"

#include <chrono>
#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "linalg/memory_needs.hpp"
#include "train/placed_data.hpp"

namespace hso::cli {
namespace {

constexpr Index kVectors = 8;  // of an iteration and a right-hand side, at most
constexpr Index kSmallOrder = 512;

/// Of a small identity matrix, times the cube of the ratio of the orders. The first round allocates.
template <class T>
double cholesky_seconds(Context& context, Index n) {
  const Index m = std::min(n, kSmallOrder);
  Buffer<T> a(context, m * m);
  double seconds = 0;
  for (int round = 0; round < 2; ++round) {
    context.ops<T>().fill(m * m, T(0), a.data());
    context.ops<T>().for_each(1, m, detail::AddDiagonal<T>{a.data(), m, T(1)});
    context.synchronize();
    const auto start = std::chrono::steady_clock::now();
    cholesky(context, a.view().reshaped({m, m}));
    context.synchronize();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return seconds * std::pow(static_cast<double>(n) / static_cast<double>(m), 3);
}

template <class T>
Index dense_solve_bytes(Index n, Index count) {
  const Index matrices = checked_multiply(3 * n, n), vectors = checked_multiply(3 * count, n);
  return checked_multiply(matrices + vectors, static_cast<Index>(sizeof(T)));
}

}  // namespace

template <class T>
SpectrumPlan plan_dense_solve(LinearOperator<T>& a, Index count) {
  Context& context = a.context();
  const Index n = a.dimension();
  require_memory(context, "the matrix and its factors", n, [=](Index m) { return dense_solve_bytes<T>(m, count); });
  const double seconds = cholesky_seconds<T>(context, n);
  SpectrumPlan plan = plan_products(a, std::min(a.lanes(), n), n, 0);
  plan.dense = true;
  plan.solver_seconds = seconds;
  const Index square = n * n * static_cast<Index>(sizeof(T));
  const auto added = [&](bool wide) {
    return square + context.arena().growth(detail::solve_scratch<T>(context, n, count, wide));
  };
  const Index all = added(true), taken = all <= context.memory().free_bytes ? all : added(false);
  plan.bytes = std::max(plan.bytes, context.allocated_bytes() + taken + kScratchBytes);
  return plan;
}

template <class T>
SpectrumPlan plan_iterative_solve(LinearOperator<T>& a, Index count, Index products) {
  const Index numbers = checked_multiply(checked_multiply(kVectors, count), a.dimension());
  return plan_products(a, count, products, checked_multiply(numbers, static_cast<Index>(sizeof(T))));
}

template SpectrumPlan plan_dense_solve(LinearOperator<float>&, Index);
template SpectrumPlan plan_dense_solve(LinearOperator<double>&, Index);
template SpectrumPlan plan_iterative_solve(LinearOperator<float>&, Index, Index);
template SpectrumPlan plan_iterative_solve(LinearOperator<double>&, Index, Index);

}  // namespace hso::cli
