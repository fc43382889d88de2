// SPDX-License-Identifier: Apache-2.0
//
// Are these derivatives right? A report, item by item, for any Objective and for networks on data.
//
// Two kinds of evidence:
//   identities   must hold to rounding, at kinks too: symmetry <u, Hv> = <v, Hu>, linearity, K lanes = K single calls,
//                dense matrix = products, G positive semidefinite, batches add up, float32 = float64, CPU = CUDA.
//   differences  tie the gradient to the value and Hv to the gradient: D(h) = (F(x + h v) - F(x - h v)) / 2h. Its
//                truncation error is about |D(2h) - D(h)| / 3, and its rounding error is noise / h, where the noise of
//                F is measured by second differences too short to see any curvature.
// Differences across a kink (relu, max pooling) are no derivative of anything. The step is then cut, and where that
// does not help the item is inconclusive, not failed, provided that every identity holds.
// All of it is meant for double: differences in float are often off by 1 % and more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hsogpu/data/dataset.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso {

enum class CheckStatus { passed, failed, inconclusive, skipped };
const char* name_of(CheckStatus status);

struct CheckItem {
  std::string name;
  CheckStatus status = CheckStatus::passed;
  double error = 0;        ///< measured, relative to the size of what is compared
  double bound = 0;        ///< in the same unit
  std::string bound_from;  ///< how the bound was derived
  std::string note;        ///< what was seen, and likely causes where it did not pass
};

struct CheckReport {
  std::vector<CheckItem> items;
  bool passed() const;                                   ///< no item failed
  const CheckItem* find(const std::string& name) const;  ///< null when there is no such item
  std::string table() const;                             ///< for people
  std::string json() const;                              ///< {"passed": ..., "items": [...]}
};

/// A named slice of theta. A difference that fails names the slice that disagrees most.
struct CheckBlock {
  std::string name;
  Index offset = 0, size = 0;
};

struct CheckOptions {
  std::uint64_t seed = 0;  ///< of the random directions
  int directions = 4;
  Index dense_limit = 4096;        ///< the largest n whose dense matrix is compared with products
  std::vector<std::string> kinks;  ///< what makes f not smooth ("relu"); empty: f is smooth
  std::vector<CheckBlock> blocks;
  Index coordinate_limit = 256;  ///< without blocks: the largest n whose coordinates are looked at one by one
};

/// theta: n numbers in device memory of the objective's context. Needs about 10 gradients a direction. Without blocks
/// and up to coordinate_limit variables, everything is measured in units of |theta_i| (1 where that is 0), so that
/// parameters of very different sizes are moved alike.
template <class T>
CheckReport check_derivatives(Objective<T>& objective, const T* theta, const CheckOptions& options = {});

struct NetworkCheckOptions {
  CheckOptions check;           ///< kinks and blocks are filled in from the model
  std::string device = "auto";  ///< where the main part runs; compared with the CPU when it is a CUDA device
  double weight_decay = 0;
  bool training = false;  ///< batchnorm takes the statistics of the data, dropout is on
};

/// check_derivatives in double, then what a network has beyond it: batches, float32, both devices.
/// InputError when data or theta do not fit the model.
CheckReport check_network(const ModelSpec& model, LossKind loss, const Dataset& data, Span<const double> theta,
                          const NetworkCheckOptions& options = {});

}  // namespace hso
