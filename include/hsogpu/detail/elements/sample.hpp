// SPDX-License-Identifier: Apache-2.0
//
// Targets drawn from the distribution whose negative log-likelihood a loss is, at outputs z: the Monte Carlo Fisher
// matrix needs them. Row r of the draw uses element (first + r) of (seed, stream): the same on every backend and for
// every cut into batches. `stream` numbers the draws.
#pragma once

#include "hsogpu/detail/elements/common.hpp"
#include "hsogpu/detail/elements/random.hpp"
#include "hsogpu/detail/math.hpp"

namespace hso::detail {

/// Far from the streams of probes and starts, which are small numbers: with one seed the draws are still independent.
inline constexpr std::uint64_t kTargetStreams = std::uint64_t{1} << 48;

/// target[r] = c with probability p[r][c]; -1 stays. Launch with N x 1.
template <class T>
struct SampleClass {
  const T* p;  ///< [N][classes], rows sum to 1
  T* target;
  Index classes, first;
  std::uint64_t seed, stream;
  HSO_HD void operator()(Index r, Index) const {
    if (target[r] < T(0)) return;
    const double u = uniform01(philox_word(seed, kTargetStreams + stream, static_cast<std::uint64_t>(first + r)));
    double sum = 0;
    Index chosen = classes - 1;
    for (Index c = 0; c < classes; ++c) sum += static_cast<double>(p[r * classes + c]);
    double left = u * sum;
    for (Index c = 0; c < classes; ++c) {
      left -= static_cast<double>(p[r * classes + c]);
      if (left < 0) {
        chosen = c;
        break;
      }
    }
    target[r] = static_cast<T>(chosen);
  }
};

/// target = z + standard normal: squared error is the negative log-likelihood of unit variance. Launch with N x
/// outputs.
template <class T>
struct SampleNormal {
  const T* z;
  T* target;
  Index outputs, first;
  std::uint64_t seed, stream;
  HSO_HD void operator()(Index r, Index i) const {
    const RandomFill<T> normal{nullptr, seed, kTargetStreams + stream, Distribution::normal, 0, 1};
    const double draw = normal.draw((first + r) * outputs + i);
    target[r * outputs + i] = static_cast<T>(static_cast<double>(z[r * outputs + i]) + draw);
  }
};

/// target = 1 with probability logistic(z), else 0. Launch with N x outputs.
template <class T>
struct SampleBernoulli {
  const T* z;
  T* target;
  Index outputs, first;
  std::uint64_t seed, stream;
  HSO_HD void operator()(Index r, Index i) const {
    const double u =
        uniform01(philox_word(seed, kTargetStreams + stream, static_cast<std::uint64_t>((first + r) * outputs + i)));
    target[r * outputs + i] = u < static_cast<double>(logistic(z[r * outputs + i])) ? T(1) : T(0);
  }
};

template <class T>
using SampleOps = Types<SampleClass<T>, SampleNormal<T>, SampleBernoulli<T>>;

}  // namespace hso::detail
