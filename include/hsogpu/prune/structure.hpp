// SPDX-License-Identifier: Apache-2.0
//
// What of a model can go as a whole, and a smaller model once it went.
//
//   std::vector<UnitGroup> groups = prunable_units(model);     neurons and channels, coupled ones as one unit
//   for (const Unit& u : chosen) remove(mask, u);              or any mask of single weights
//   ShrunkModel small = shrink(model, theta, mask);            the same outputs as theta under the mask
//
// A unit is a set of neurons or channels that only go together: a channel of every convolution whose results are added
// (`add`), or a whole group of a grouped convolution with the channels it reads (one channel where the convolution is
// depthwise). Removing a unit removes the weights that make it, their biases, and the weights that read it: filter
// pruning as in Li, Kadav, Durdanovic, Samet, Graf, "Pruning Filters for Efficient ConvNets" (ICLR 2017), section 3.
// A channel keeps its identity through activations, pools, dropout and flattening (there it is a run of features).
//
// Not removable: the model's inputs and outputs, what is added to them, channels that pass a `reshape` to more than one
// axis, what a recurrent layer or a norm reads and makes, and layers where all channels make one unit.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/graph/model.hpp"
#include "hsogpu/objective/mask.hpp"

namespace hso {

/// Removed as a whole. Positions in theta are ascending; no position is in both lists. A weight between two units is in
/// `incoming` of the one and in `outgoing` of the other; one from a unit to itself (residual connections) is incoming.
struct Unit {
  int layer = 0;                ///< position in ModelSpec::layers of the first layer that makes it
  Index index = 0;              ///< neuron or channel in that layer, the first where several go together
  std::vector<Index> incoming;  ///< the weights that make it, with its biases
  std::vector<Index> outgoing;  ///< the weights of later layers that read it
  Index multiply_adds = 0;      ///< of one sample's forward pass, saved by removing this unit alone
};

/// The units of layers that share channels (one layer where nothing is added). Some unit of a group must stay.
struct UnitGroup {
  std::vector<int> layers;  ///< ascending
  std::vector<Unit> units;  ///< at least 2, by (layer, index)
};
std::vector<UnitGroup> prunable_units(const ModelSpec& model);

/// A linear or conv2d layer none of whose units can go.
struct FixedLayer {
  int layer = 0;
  std::string reason;  ///< "its units are the model's outputs", ...
};
std::vector<FixedLayer> fixed_layers(const ModelSpec& model);

/// Removes the unit's incoming and outgoing weights.
void remove(Mask& mask, const Unit& unit);

// ---- groups of single weights, as positions in theta ----
// A weight is the matrix [out][in] or, for conv2d, [out][in / groups kh kw], as the GEMM sees it.

std::vector<std::vector<Index>> weight_rows(const ParameterInfo& weight);
std::vector<std::vector<Index>> weight_columns(const ParameterInfo& weight);
/// Runs of `m` consecutive weights in every row, for N:M sparsity (Mishra et al., "Accelerating Sparse Deep Neural
/// Networks", arXiv:2104.08378, 2021): at most N of the M stay. What is left at the end of a row is in no run and
/// stays. UsageError unless m is at least 2.
std::vector<std::vector<Index>> weight_runs(const ParameterInfo& weight, Index m);

/// Products of one sample's forward pass with kept weights: what a sparse product needs. Equals multiply_adds(model)
/// for a full mask. InputError for a mask of another size.
Index multiply_adds(const ModelSpec& model, const Mask& mask);

// ---- the smaller model ----

struct ShrunkModel {
  ModelSpec model;
  std::vector<double> theta;       ///< of the new model; 0 where its mask says so
  Mask mask;                       ///< of the new model: what stays masked inside the units that are kept
  std::vector<Index> source;       ///< for each new parameter, its position in the old theta
  std::vector<std::string> notes;  ///< what is unusual: biases that took constants up, units that had to stay
};

/// The model without its dead units: outputs equal those of `model` with theta under the mask up to rounding, dropout
/// off. A unit is dead when nothing that the outputs need reads it by a kept weight. Readers of a unit that does not
/// depend on the input (what made it was removed) do not count where its value c can be moved into their biases,
///   b' = b + sum c w  over the weights that read it:
/// for c = 0 always, otherwise in readers that have a bias and do not pad; b' is kept in the new mask. Dead units that
/// shapes need (one in a layer without others, what is added to the input or goes through a reshape) stay with all
/// their weights removed. Shrinking twice is shrinking once; where all is needed, the result is what was given.
/// The new model's name ends in "-shrunk" when parameters went. InputError when theta or mask has another length.
ShrunkModel shrink(const ModelSpec& model, Span<const double> theta, const Mask& mask);

// ---- storage of what cannot shrink ----

struct SparseParameters {
  std::vector<double> theta;  ///< 0 where removed
  Mask mask;
  std::map<std::string, std::string> metadata;
};

/// A safetensors file with, for each tensor NAME, `NAME.values` [kept] (its kept numbers in order; F32 or F64 by
/// `precision`) and `NAME.mask` U8 [ceil(n / 8)]: bit i % 8 (least significant first) of byte i / 8 is 1 where entry i
/// is kept, bits beyond n are 0. Metadata: "format" = "hso-sparse-1", "shape.NAME" = "[10, 84]", and the caller's own.
/// InputError when theta or mask has another length than the parameters, or a key of the metadata is taken.
void write_sparse(const std::string& path, Span<const double> theta, const Mask& mask,
                  const std::vector<ParameterInfo>& parameters, std::string_view precision,
                  const std::map<std::string, std::string>& metadata = {});

/// Reads write_sparse's files; `metadata` without format and shapes. InputError names file and tensor: one that is
/// missing, unknown, of another shape or type, or where the set bits do not number the values.
SparseParameters read_sparse(const std::string& path, const std::vector<ParameterInfo>& parameters);

}  // namespace hso
