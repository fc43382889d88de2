// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "prune/select/stage.hpp"

namespace hso::detail {

namespace {

/// The whole matrix costs half of its products (tape.hpp), and a product of a part as much as one of all.
bool whole_is_cheaper(Index n, Index m) { return 2 * m > n; }

}  // namespace

template <class T>
Buffer<T> kept_curvature(Stage<T>& stage, const std::function<Index(Index)>& bytes) {
  const Index n = stage.n(), m = stage.m();
  const bool whole = whole_is_cheaper(n, m);
  const auto matrix = [](Index size) {
    return checked_multiply(checked_multiply(size, size), static_cast<Index>(sizeof(T)));
  };
  // The whole matrix goes before anything is made of the part.
  const auto needed = [&](Index size) {
    if (!whole) return bytes(size);
    const auto part = static_cast<Index>(static_cast<double>(size) * static_cast<double>(m) / static_cast<double>(n));
    return std::max(bytes(part), matrix(part) + (m < n ? matrix(size) : 0));
  };
  try {
    require_memory(stage.context, fmt::format("pruning by {}", name_of(stage.rule.score)), whole ? n : m, needed);
  } catch (const MemoryError& e) {
    throw MemoryError(
        fmt::format("{}; what needs less: kfac_obs, fisher, obs with a block size, hsp and hsp_saliency with a rank, "
                    "magnitude",
                    e.what()));
  }
  const auto curvature = stage.objective.curvature(stage.point.data(), stage.rule.curvature);
  Buffer<T> kept(stage.context, m * m);
  if (!whole) {
    RestrictedOperator<T>(*curvature, stage.kept).to_dense(kept.data());
    return kept;
  }
  if (m == n) {
    curvature->to_dense(kept.data());
    return kept;
  }
  Buffer<T> all(stage.context, n * n);
  curvature->to_dense(all.data());
  const Buffer<Index> where(stage.context, stage.kept);
  stage.context.template ops<T>().for_each(m, m, GatherBlock<T>{all.data(), n, where.data(), kept.data(), m, T(0)});
  return kept;
}

template Buffer<float> kept_curvature(Stage<float>&, const std::function<Index(Index)>&);
template Buffer<double> kept_curvature(Stage<double>&, const std::function<Index(Index)>&);

}  // namespace hso::detail
