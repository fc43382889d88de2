// SPDX-License-Identifier: Apache-2.0
//
// What the scores of one stage of pruning work on.
#pragma once

#include <vector>

#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/prune/removal.hpp"

namespace hso::detail {

constexpr Index kDiagonalByMatrix = 4096;  ///< parameters up to which obd forms the whole matrix
constexpr Index kFisherWhole = 4096;       ///< the same of fisher, where no block is asked for;
constexpr Index kFisherBlock = 512;        ///< above, the order of its diagonal blocks

template <class T>
struct Stage {
  Objective<T>& objective;
  Context& context;
  Span<const double> theta;
  const Mask& mask;
  const RemovalRule& rule;
  RemovalTarget target;
  Index count;  ///< removals
  std::vector<ParameterSlice> layout;
  std::vector<Index> kept;              ///< positions in theta
  std::vector<std::uint8_t> removable;  ///< and still there
  std::vector<Quota> quotas;
  Buffer<T> point;  ///< theta on the device
  std::vector<std::string> notes;
  std::optional<FlatReport> flat;

  Index n() const { return mask.size(); }
  Index m() const { return static_cast<Index>(kept.size()); }
};

// ---- scores.cpp ----

/// One number a parameter of theta in device memory, smallest first; what is not kept is not read. For scores without
/// compensation: magnitude, random, gradient, obd, hsp, hsp_literal.
template <class T>
Buffer<double> scores_on_device(Stage<T>& stage);

// ---- dense.cpp ----

/// h[m][m]: the curvature of the kept parameters. MemoryError names scores that need less than `bytes` of m.
template <class T>
Buffer<T> kept_curvature(Stage<T>& stage, const std::function<Index(Index)>& bytes);

// ---- removal.cpp ----

/// True where removals come with the change of the loss that they are predicted to make.
bool predicts(const RemovalRule& rule);

/// Checked; the errors of remove_parameters.
template <class T>
Stage<T> make_stage(Objective<T>& objective, Span<const double> theta, const Mask& mask, const RemovalTarget& target,
                    const RemovalRule& rule);

// ---- flat.cpp ----

/// Positions of ascending eigenvalues in the order of flatness, and how many of them are flat.
struct FlatChoice {
  std::vector<Index> order;
  FlatReport report;
};
/// `removals`: what `automatic` means for hsp; 0 takes the threshold of hsp_saliency.
FlatChoice choose_flat(Span<const double> values, const FlatSet& set, Index removals, double epsilon);

}  // namespace hso::detail
