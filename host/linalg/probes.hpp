// SPDX-License-Identifier: Apache-2.0
//
// Random probes z and what they are multiplied to, all probes as lanes.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/linear_operator.hpp"

namespace hso::detail {

inline constexpr Index kProbeLanes = 32;

/// Lanes first, first + 1, ... of the seed's probes.
template <class T>
void fill_probes(Ops<T>& ops, Index n, Index first, Index lanes, std::uint64_t seed, Distribution distribution, T* z) {
  for (Index p = 0; p < lanes; ++p)
    ops.for_each(1, n, RandomFill<T>{z + p * n, seed, static_cast<std::uint64_t>(first + p), distribution, 0, 1});
}

/// Fewer samples than these are of probes uniform on a sphere, more of random signs. Their forms z'Az are spread like
/// squares of normal numbers, for which intervals were made (mean_of); signs give forms of sparse matrices only a few
/// values, and a few samples may all be equal though their mean is wrong.
inline constexpr Index kFewProbes = 30;

/// Lanes as fill_probes has them, `probes` in all, every one of this length. Few probes wait for the device once.
template <class T>
void fill_directions(Ops<T>& ops, Index n, Index first, Index lanes, Index probes, std::uint64_t seed, double length,
                     View<T> z) {
  const bool few = probes < kFewProbes;
  const auto fill = [&](Index p, double scale) {
    ops.for_each(1, n,
                 RandomFill<T>{z.lane(p), seed, static_cast<std::uint64_t>(first + p),
                               few ? Distribution::normal : Distribution::rademacher, 0, scale});
  };
  for (Index p = 0; p < lanes; ++p) fill(p, few ? 1 : length / std::sqrt(static_cast<double>(n)));
  if (!few) return;
  std::vector<double> squares(static_cast<std::size_t>(lanes));
  ops.dots(lanes, n, z.data, z.lane_stride, z.data, z.lane_stride, squares.data());
  for (Index p = 0; p < lanes; ++p) fill(p, length / std::sqrt(squares[static_cast<std::size_t>(p)]));
}

/// take(first, k, z, Az) of `probes` vectors, `kProbeLanes` at a time, that draw(first, k, z) makes. Returns how many
/// there were: fewer when `interrupted`.
template <class T, class Draw, class Take>
Index probe(LinearOperator<T>& a, Index probes, const std::function<bool()>& interrupted, const Draw& draw,
            const Take& take) {
  const Index n = a.dimension(), lanes = std::min(kProbeLanes, probes);
  Buffer<T> z(a.context(), lanes * n), az(a.context(), lanes * n);
  for (Index done = 0; done < probes; done += lanes) {
    if (interrupted && interrupted()) return done;
    const Index k = std::min(lanes, probes - done);
    draw(done, k, z.data());
    a.apply(vector_view<const T>(z.data(), n, k), vector_view(az.data(), n, k));
    take(done, k, z.data(), az.data());
  }
  return probes;
}

inline constexpr auto kAsTheyAre = [](Index, auto*) {};

/// One entry a probe, read when all are there.
struct ProbeSamples {
  std::vector<double> quadratic, squared;  ///< z'Az and |Az|^2
};
template <class T, class Draw>
ProbeSamples samples_drawn(LinearOperator<T>& a, Index probes, const std::function<bool()>& interrupted,
                           const Draw& draw) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension();
  Buffer<double> samples(a.context(), 2 * probes);
  const Index taken = probe(a, probes, interrupted, draw, [&](Index done, Index k, const T* z, const T* az) {
    ops.dots_on_device(k, n, z, n, az, n, samples.data() + done);
    ops.dots_on_device(k, n, az, n, az, n, samples.data() + probes + done);
  });
  const std::vector<double> host = samples.download();
  const auto middle = host.begin() + static_cast<std::ptrdiff_t>(probes);
  return {{host.begin(), host.begin() + taken}, {middle, middle + taken}};
}
/// Of random probes of length sqrt(n), lanes `first` and on, passed through `prepare`.
template <class T, class Prepare>
ProbeSamples samples_of(LinearOperator<T>& a, Index first, Index probes, std::uint64_t seed, const Prepare& prepare,
                        const std::function<bool()>& interrupted = {}) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension();
  return samples_drawn(a, probes, interrupted, [&](Index done, Index k, T* z) {
    fill_directions(ops, n, first + done, k, probes, seed, std::sqrt(static_cast<double>(n)), vector_view(z, n, k));
    prepare(k, z);
  });
}

}  // namespace hso::detail
