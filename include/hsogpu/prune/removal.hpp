// SPDX-License-Identifier: Apache-2.0
//
// One stage of pruning: which parameters, or which whole units, to remove next, what that is predicted to cost, and
// what the others become.
//
//   RemovalRule rule{.score = PruneScore::obs};
//   Removed stage = remove_parameters(objective, theta, mask, {.count = 500}, rule);
//
// H is the curvature (`rule.curvature`) of the parameters that are left, d = damping times the mean of its diagonal.
// Scores, smallest first, and the loss change that each predicts:
//
//   magnitude    |w_j|                                                    (none)
//   random       uniform, by seed                                         (none)
//   gradient     |g_j w_j|: Mozer and Smolensky, NIPS 1988; Lee et al.,   |g_j w_j|
//                ICLR 2019, eq. 5
//   obd          H_jj w_j^2 / 2: LeCun, Denker and Solla, NIPS 1989,      the score
//                eq. 5; exact diagonal where H is formed, of the ggn
//                otherwise
//   obs          w_j^2 / (2 [(H + d I)^-1]_jj), with compensation:        the score
//                surgeon.hpp. One matrix, or with `block` diagonal
//                blocks of that many parameters of one tensor
//   kfac_obs     the same on Kronecker factors: H is B_rr A for row r of  the score
//                a layer's [W b], B (x) A as in kronecker.hpp. Rows are
//                exact least-squares problems in the layer's inputs, as
//                in Dong, Chen and Pan, NeurIPS 2017 (layer-wise OBS)
//                and Frantar and Alistarh, NeurIPS 2022; B_rr makes
//                their costs comparable across layers
//   fisher       the same on the empirical Fisher matrix of single        the score
//                samples' gradients, in blocks: Singh and Alistarh,
//                NeurIPS 2020 (WoodFisher)
//   hsp          largest s_j = sum_{i in flat} v_ij^2 first, H v_i =      (none)
//                l_i v_i: the diagonal of the projector on the flattest
//                eigen-directions, which no rotation inside of a cluster
//                changes
//   hsp_literal  largest |v_1j| first: the published rule, the first      (none)
//                eigenvector after sorting the eigenvalues
//   hsp_saliency obs with the spectral model: V phi(L) V', phi(l) = |l|   the score
//                outside of the flat set and the flat set's mean |l|
//                inside, both at least d; with its compensation
//
// With a `rank` neither forms H: the model is tau I + V'(|L| - tau)V of the leading pairs, tau the mean of the other
// eigenvalues, estimated by Hutchinson's probes of their complement, at least d (the notes say where that mean is
// negative, and then tau is d); hsp_saliency then removes in 64 rounds, each at the costs of its beginning, and its
// predictions are those. The flat set is the first eigenvalues by `order`. Its boundary never cuts a cluster
// (neighbours closer than 8 n eps max|l|): it moves up to the next gap, and the notes say so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hsogpu/graph/model.hpp"
#include "hsogpu/objective/mask.hpp"
#include "hsogpu/objective/objective.hpp"
#include "hsogpu/prune/surgeon.hpp"

namespace hso {

enum class PruneScore { magnitude, random, gradient, obd, obs, kfac_obs, fisher, hsp, hsp_literal, hsp_saliency };
struct PruneScoreInfo {
  std::string name, summary;
  bool compensates;  ///< also moves the parameters that stay
};
/// In the order of the enum.
const std::vector<PruneScoreInfo>& prune_score_table();
const std::vector<std::string>& prune_score_names();
PruneScore parse_prune_score(const std::string& name);  ///< UsageError lists the names
const std::string& name_of(PruneScore score);
bool compensates(PruneScore score);

/// Which eigenvalues are flat.
struct FlatSet {
  enum class Rule {
    automatic,  ///< hsp: as many as are removed; hsp_saliency: threshold 1e-3
    count,      ///< the first `value`
    threshold,  ///< |l| <= value max|l|
    mass        ///< the first whose |l| add up to at most `value` of the sum of all |l|
  };
  enum class Order { absolute, algebraic };
  Rule rule = Rule::automatic;
  double value = 0;
  Order order = Order::absolute;
};
/// "auto", "count:K", "threshold:X" or "mass:X". UsageError for other words and values out of range.
FlatSet parse_flat_set(const std::string& text);
/// "absolute" or "algebraic".
FlatSet::Order parse_flat_order(const std::string& text);

/// N of every M consecutive inputs of a row are kept (Mishra et al., arXiv:2104.08378); a rest shorter than M is kept.
struct NofM {
  Index kept = 0, of = 0;
};

struct RemovalRule {
  PruneScore score = PruneScore::obs;
  Curvature curvature = Curvature::hessian;
  double damping = 1e-4;
  bool compensate = true;  ///< false: the others stay as they are, whatever the score
  FlatSet flat{};
  Index block = 0;         ///< obs, fisher: parameters of a block; 0: all (fisher: 512 when there are over 4,096)
  Index rank = 0;          ///< hsp, hsp_saliency: flat is all but this many largest |l|, by Lanczos; 0: by all
  Index samples = 1000;    ///< fisher: gradients, at most
  bool biases = false;     ///< biases may be removed too
  bool per_layer = false;  ///< the same sparsity in every tensor
  std::optional<NofM> pattern{};
  std::vector<std::string> tensors{};  ///< only these, by name; empty: all
  Index keep = 1;                      ///< parameters that every tensor keeps at least
  std::uint64_t seed = 0;
};

/// How far a stage goes, and who looks on.
struct RemovalTarget {
  Index count = 0;      ///< removals
  double sparsity = 0;  ///< per_layer: the share of every tensor's removable parameters that is gone afterwards
  /// Called with theta after about `points` equal parts of the removals, the last one included, and what they were
  /// predicted to cost together (NaN: nothing was).
  std::function<void(Index removals, double predicted, const std::vector<double>& theta)> watch{};
  Index points = 0;
};

struct FlatReport {
  Index asked = 0, used = 0;          ///< eigenvalues
  double largest_flat = 0, next = 0;  ///< |l| on both sides of the boundary
};

struct Removed {
  Mask mask;
  std::vector<double> theta;
  std::vector<Removal> removals;  ///< in order
  double predicted = 0;           ///< change of the loss; NaN where the score predicts none
  std::optional<FlatReport> flat;
  std::vector<std::string> notes;
};

/// theta is a point whose removed entries are 0. What is removed depends on the arguments alone, to the bit.
/// UsageError: a score that needs a network for an objective that is none, a rule out of range, a tensor that is not
/// there (with a suggestion); MemoryError: a Hessian too large, with a score that fits; InputError: sizes;
/// NumericalError: curvature that is not finite, or an eigendecomposition that failed.
template <class T>
Removed remove_parameters(Objective<T>& objective, Span<const double> theta, const Mask& mask,
                          const RemovalTarget& target, const RemovalRule& rule);

/// Parameters that the rule may remove at all, those that are gone included.
std::vector<std::uint8_t> removable_parameters(const std::vector<ParameterSlice>& layout, const RemovalRule& rule);

// ---- units: neurons and channels (structure.hpp) that go as a whole, with the weights that make them, their biases,
// and the weights that read them ----
//
// A unit's score, by rule.score:
//
// magnitude: the mean |w| of the weights that make it, over the mean of its group's units (Li et al., ICLR 2017, made
// comparable across layers). random: uniform, by seed. gradient: |sum g_j w_j| over the weights that make it (Molchanov
// et al., CVPR 2019, eq. 8, without the square). obd: the sum of the parameters' scores. hsp, hsp_literal: their mean.
//
// obs, fisher, hsp_saliency: w_Q' ([H^-1]_QQ)^-1 w_Q / 2 for all weights Q of the unit, and the others move by
// -H^-1_SQ ([H^-1]_QQ)^-1 w_Q (Hassibi and Stork's update for a set).
//
// kfac_obs: the same for the weights Q that read the unit, on each reader's Kronecker factors: every row r of a reader
// has Hessian B_rr A, the rows lose the same inputs, and what the unit told them is made up by the inputs that stay.
// The weights that make the unit go for nothing, and a row that went with its unit no longer pays.
//
// The unit with the smallest score for each multiply-add (or parameter, by the target) that it saves goes first.
// rule.keep counts units of a group here, one at least.

enum class Granularity {
  weights,
  units,   ///< neurons and channels
  rows,    ///< of weights seen as matrices: what makes one output of a layer, its bias and readers left alone
  columns  ///< what reads one input
};
/// "none" or "weights", "units", "neurons" or "channels", "rows", "columns". UsageError otherwise.
Granularity parse_granularity(const std::string& name);
const std::string& name_of(Granularity granularity);

/// What the stage reaches, as shares of the dense model; the first that is positive counts.
struct UnitTarget {
  double multiply_adds = 0;  ///< gone, of one sample's forward pass
  double sparsity = 0;       ///< gone, of all parameters
};

/// As remove_parameters; UsageError also for `weights`, and for kfac_obs with `rows`, which no layer reads. A group
/// (the rows or columns of one tensor) keeps one unit at least. `removals` holds each unit's weights in order, the
/// first with the prediction for the whole unit and the others with 0.
template <class T>
Removed remove_units(Objective<T>& objective, const ModelSpec& model, Span<const double> theta, const Mask& mask,
                     const UnitTarget& target, const RemovalRule& rule, Granularity granularity = Granularity::units);

}  // namespace hso
