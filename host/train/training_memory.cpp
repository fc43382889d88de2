// SPDX-License-Identifier: Apache-2.0
#include "train/training_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/error.hpp"

namespace hso {
namespace {

// The matrix, its eigenvectors and the workspace of the divide-and-conquer eigensolver (2 n^2 in LAPACK's dsyevd).
constexpr double kDenseMatrices = 4;
// theta, the gradient, trial points and an optimizer's own vectors.
constexpr double kVectors = 8;

double dense_bytes(double n, double element) { return kDenseMatrices * n * n * element; }

/// Main tape and trial tape.
template <class T>
double tape_bytes(const Graph<T>& graph, Index rows) {
  return 2.0 * static_cast<double>(Tape<T>::bytes(graph, rows, 1));
}

}  // namespace

std::string bytes_text(double bytes) {
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit < 5; ++unit) bytes /= 1024;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

template <class T>
Index plan_device_rows(Context& context, const Graph<T>& graph, const TrainingNeeds& needs) {
  const double element = sizeof(T), n = static_cast<double>(graph.parameter_count());
  const double there = static_cast<double>(context.memory().free_bytes);
  const double dense = needs.dense ? dense_bytes(n, element) : 0;
  const double fixed = dense + kVectors * n * element + static_cast<double>(needs.values) * element;
  Index rows = std::min(needs.rows, needs.device_rows > 0 ? needs.device_rows : needs.rows);
  if (needs.device_rows == 0)
    while (rows > 1 && tape_bytes(graph, rows) > (there - fixed) / 2) rows = (rows + 1) / 2;
  const double needed = fixed + tape_bytes(graph, rows);
  if (needed <= there) return rows;
  std::string message =
      fmt::format("train: needs {} on {} for {} parameters and {} rows at a time, {} are free", bytes_text(needed),
                  context.name(), graph.parameter_count(), rows, bytes_text(there));
  if (needs.dense)
    message += fmt::format(
        "; the dense curvature takes {} of it and would fit up to about {} parameters; sgd, momentum, adam and hvp "
        "form no matrix",
        bytes_text(dense), static_cast<Index>(std::sqrt(there / dense_bytes(1, element))));
  throw MemoryError(message);
}

template Index plan_device_rows<float>(Context&, const Graph<float>&, const TrainingNeeds&);
template Index plan_device_rows<double>(Context&, const Graph<double>&, const TrainingNeeds&);

}  // namespace hso
