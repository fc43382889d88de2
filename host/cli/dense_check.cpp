// SPDX-License-Identifier: Apache-2.0
#include "cli/dense_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/elements/random.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/dense.hpp"

namespace hso::cli {

template <class T>
Index dense_bytes(const Context& context, const Graph<T>& graph, Index batch, Index lanes, Index n) {
  return checked_multiply(checked_multiply(n, n), static_cast<Index>(sizeof(T))) +
         Tape<T>::bytes(context, graph, batch, lanes);
}

template <class T>
void require_dense_memory(Context& context, const Graph<T>& graph, Index batch) {
  require_memory(context, "dense curvature matrix", graph.parameter_count(),
                 [&](Index n) { return dense_bytes(context, graph, batch, 1, n); });
}

namespace {

constexpr Index kTile = 64;  // a tile and its mirror image stay in cache

}  // namespace

template <class T>
double asymmetry(Index n, Span<const T> h) {
  const auto at = [&](Index i, Index j) { return static_cast<double>(h[static_cast<std::size_t>(i * n + j)]); };
  double largest = 0, difference = 0;
  for (Index first_i = 0; first_i < n; first_i += kTile)
    for (Index first_j = 0; first_j <= first_i; first_j += kTile)
      for (Index i = first_i; i < std::min(n, first_i + kTile); ++i)
        for (Index j = first_j; j < std::min(n, first_j + kTile); ++j) {
          largest = std::max({largest, std::abs(at(i, j)), std::abs(at(j, i))});
          difference = std::max(difference, std::abs(at(i, j) - at(j, i)));
        }
  return largest > 0 ? difference / largest : 0;
}

template <class T>
double product_difference(LinearOperator<T>& op, const Buffer<T>& h) {
  Context& context = op.context();
  auto& ops = context.template ops<T>();
  const Index n = op.dimension();
  Buffer<T> v(context, n), direct(context, n), dense(context, n);
  ops.for_each(1, n, detail::RandomFill<T>{v.data(), 0, 0, detail::Distribution::normal, 0, 1});
  op.apply(vector_view<const T>(v.data(), n), direct.view());
  // v H' is H v, for a matrix that is not symmetric too.
  ops.gemm({.m = 1,
            .n = n,
            .k = n,
            .a = v.data(),
            .lda = n,
            .trans_a = false,
            .b = h.data(),
            .ldb = n,
            .trans_b = true,
            .c = dense.data(),
            .ldc = n});
  const double size = ops.nrm2(n, direct.data());
  ops.axpby(n, T(1), direct.data(), T(-1), dense.data());
  const double difference = ops.nrm2(n, dense.data());
  return size > 0 ? difference / size : difference;
}

template Index dense_bytes(const Context&, const Graph<float>&, Index, Index, Index);
template Index dense_bytes(const Context&, const Graph<double>&, Index, Index, Index);
template void require_dense_memory(Context&, const Graph<float>&, Index);
template void require_dense_memory(Context&, const Graph<double>&, Index);
template double product_difference(LinearOperator<float>&, const Buffer<float>&);
template double product_difference(LinearOperator<double>&, const Buffer<double>&);
template double asymmetry(Index, Span<const float>);
template double asymmetry(Index, Span<const double>);

}  // namespace hso::cli
