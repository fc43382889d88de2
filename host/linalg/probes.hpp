// SPDX-License-Identifier: Apache-2.0
//
// Random probes z and what they are multiplied to, all probes as lanes.
#pragma once

#include <algorithm>
#include <vector>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective.hpp"

namespace hso::detail {

inline constexpr Index kProbeLanes = 32;

/// Lanes first, first + 1, ... of the seed's probes.
template <class T>
void fill_probes(Ops<T>& ops, Index n, Index first, Index lanes, std::uint64_t seed, Distribution distribution, T* z) {
  for (Index p = 0; p < lanes; ++p)
    ops.for_each(1, n, RandomFill<T>{z + p * n, seed, static_cast<std::uint64_t>(first + p), distribution, 0, 1});
}

/// take(first, k, z, Az) of `probes` Rademacher vectors, `kProbeLanes` at a time; z is passed through `prepare` first.
template <class T, class Prepare, class Take>
void probe(LinearOperator<T>& a, Index first, Index probes, std::uint64_t seed, const Prepare& prepare,
           const Take& take) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension(), lanes = std::min(kProbeLanes, probes);
  Buffer<T> z(a.context(), lanes * n), az(a.context(), lanes * n);
  for (Index done = 0; done < probes; done += lanes) {
    const Index k = std::min(lanes, probes - done);
    fill_probes(ops, n, first + done, k, seed, Distribution::rademacher, z.data());
    prepare(k, z.data());
    a.apply(vector_view<const T>(z.data(), n, k), vector_view(az.data(), n, k));
    take(done, k, z.data(), az.data());
  }
}

inline constexpr auto kAsTheyAre = [](Index, auto*) {};

/// One entry a probe, read when all are there.
struct ProbeSamples {
  std::vector<double> quadratic, squared;  ///< z'Az and |Az|^2
};
template <class T, class Prepare>
ProbeSamples samples_of(LinearOperator<T>& a, Index first, Index probes, std::uint64_t seed, const Prepare& prepare) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension();
  Buffer<double> samples(a.context(), 2 * probes);
  probe(a, first, probes, seed, prepare, [&](Index done, Index k, const T* z, const T* az) {
    ops.dots_on_device(k, n, z, n, az, n, samples.data() + done);
    ops.dots_on_device(k, n, az, n, az, n, samples.data() + probes + done);
  });
  const std::vector<double> host = samples.download();
  const auto middle = host.begin() + static_cast<std::ptrdiff_t>(probes);
  return {{host.begin(), middle}, {middle, host.end()}};
}

}  // namespace hso::detail
