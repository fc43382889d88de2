// SPDX-License-Identifier: Apache-2.0
//
// What `hso gradient`, `hso hessian` and `hso solve` share: a problem on its device, vectors and results as files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/common.hpp"
#include "cli/memory_flags.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/linalg/analysis.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "train/placed_data.hpp"

namespace hso::cli {

/// InputError names the source and the position of the first value that is not finite.
void require_finite(Span<const double> values, const std::string& source);

/// Vectors [n] or [K][n] from the file that --vector names; InputError for another shape or what is not finite.
Array read_vectors(const std::string& path, Index n);

constexpr Index kLossRows = 2048;  ///< at a time, for a loss or a gradient: more are no faster

/// Network, data and theta of a problem in device memory.
template <class T>
struct PlacedProblem {
  /// Takes data and theta out of `problem`, so that nothing is held twice. InputError when they are not finite or do
  /// not fit the model; MemoryError says how many samples would fit the device.
  explicit PlacedProblem(Problem& problem);

  Index dimension() const { return network.graph.parameter_count(); }
  /// `base` with weight decay and seed of the problem; its batch, or all rows that go at a time where it has none.
  std::unique_ptr<NetworkObjective<T>> objective(const NetworkObjectiveOptions& base = {}) const;
  /// Rows at a time for a loss or a gradient; those that may depend on each other stay together.
  Index few_rows() const { return problem.training ? rows : std::min(kLossRows, rows); }
  /// The loss, by few rows at a time, so that no buffers for all rows are taken beside those of curvature products.
  double loss() const;
  /// What the command takes where `device` bytes are live on the device at most, and `copies` of host memory beside
  /// them.
  MemoryPlan plan(Index device, Index copies = 0) const;
  /// What is live now and `added` bytes, with scratch for traversals.
  Index live_with(Index added) const { return context->allocated_bytes() + added + kScratchBytes; }
  /// Bytes of a tape for the rows that the device takes at a time.
  Index tape_bytes(Index lanes, Linearization most) const {
    return Tape<T>::bytes(*context, network.graph, rows, lanes, most);
  }
  /// "mlp:4-3-2: n = 23, 40 rows, cross_entropy, float64 on cpu, theta from theta.npy"
  std::string description() const;

  const Problem& problem;
  std::unique_ptr<Context> context;
  Network<T> network;
  DeviceData<T> data;
  Index rows;  ///< on the device at a time
  Buffer<T> theta;

 private:
  Index reading_bytes_;
};

/// Device memory as the host sees it: in place on the CPU, where a second copy of a dense matrix may not fit.
template <class T>
class HostValues {
 public:
  HostValues(const Context& context, const Buffer<T>& buffer)
      : copy_(context.is_cuda() ? buffer.download() : std::vector<T>()),
        values_(context.is_cuda() ? copy_.data() : buffer.data(), static_cast<std::size_t>(buffer.size())) {}
  HostValues(const HostValues&) = delete;
  HostValues& operator=(const HostValues&) = delete;
  Span<const T> get() const { return values_; }

 private:
  std::vector<T> copy_;
  Span<const T> values_;
};

/// Writes `values` as .npy of this shape. NumericalError when they are not finite: nothing is written then.
template <class T>
void write_result(const std::string& path, const Shape& shape, Span<const T> values);

/// MemoryFlags::stops_after with "plan: dense of hessian (n = 2410): ... memory ...; products: 2410, 1e-05 s each;
/// about 1.2 s"
bool stops_after(const MemoryFlags& flags, const MemoryPlan& memory, const SpectrumPlan& plan,
                 const std::string& method, const std::string& kind, Index n);

/// NumericalError when the loss is not finite; else prints it to stdout with all its digits, or as JSON with the data.
void print_loss(double loss, const Problem& problem, bool json);

}  // namespace hso::cli
