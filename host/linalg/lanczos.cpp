// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "io/choice.hpp"
#include "linalg/block_lanczos.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

const std::vector<std::string>& spectrum_end_names() {
  static const std::vector<std::string> names{"largest", "smallest", "both", "magnitude"};
  return names;
}

SpectrumEnd parse_spectrum_end(const std::string& name) {
  return parse_choice<SpectrumEnd>("end of the spectrum", name, spectrum_end_names());
}

namespace {

/// Vectors that half the free memory holds.
template <class T>
Index affordable_basis(Context& context, Index n, const LanczosOptions& o) {
  const Index least = std::min(n, o.count + 3 * o.block);
  const Index good = std::min(n, std::max<Index>(256, 4 * (o.count + o.block)));
  const Index bytes = checked_multiply(std::max<Index>(n, 1), static_cast<Index>(sizeof(T)));
  const Index fit = context.memory().free_bytes / 2 / bytes - 2 * o.block;
  require_memory(context, fmt::format("lanczos: a basis of {} vectors", least), n, [&](Index m) {
    return checked_multiply(least + 2 * o.block, checked_multiply(m, static_cast<Index>(sizeof(T))));
  });
  return std::clamp(fit, least, good);
}

}  // namespace

template <class T>
Index detail::lanczos_basis(Context& context, Index n, const LanczosOptions& o) {
  if (n < 1) throw InputError(fmt::format("lanczos: an operator of dimension {}, expected at least 1", n));
  if (o.count < 1 || o.count > n)
    throw InputError(
        fmt::format("lanczos: {} eigenvalues of an operator of dimension {}, expected 1 to {}", o.count, n, n));
  if (o.block < 1 || o.block > n)
    throw InputError(fmt::format("lanczos: block of {} for dimension {}, expected 1 to {}", o.block, n, n));
  if (!(o.confidence >= 0 && o.confidence < 1))
    throw UsageError(fmt::format("lanczos: confidence {}, expected 0 or more and below 1", o.confidence));
  if (o.basis == 0) return affordable_basis<T>(context, n, o);
  const Index least = std::min(n, o.count + 3 * o.block);
  if (o.basis < least)
    throw InputError(fmt::format("lanczos: basis of {} for {} eigenvalues with blocks of {}, expected at least {}",
                                 o.basis, o.count, o.block, least));
  return std::min(o.basis, n);
}

template <class T>
Needs detail::lanczos_needs(Index n, const LanczosOptions& o) {
  const Index m = o.basis, block = widest_block(o, n, m), element = sizeof(T);
  const Index vector = checked_multiply(n, element), width = std::min(block, kWidestPanel);
  Needs needs;
  needs.buffers = checked_multiply(m + block, vector) + (o.vectors ? o.count * vector : 0) +
                  PanelLog<T>::bytes(log_panels(block), width, m + block) + static_cast<Index>(sizeof(double));
  needs.scratch = {{(width * width + 1) * static_cast<Index>(sizeof(double)), width * width * element},
                   {m * m * element, Basis<T>::recombine_bytes(n, m)},
                   {o.count * m * element}};
  return needs;
}

template <class T>
EigenPairs<T> lanczos(LinearOperator<T>& a, const LanczosOptions& options) {
  return BlockLanczos<T>(a, options, lanczos_basis<T>(a.context(), a.dimension(), options)).run();
}

template Index detail::lanczos_basis<float>(Context&, Index, const LanczosOptions&);
template Index detail::lanczos_basis<double>(Context&, Index, const LanczosOptions&);
template Needs detail::lanczos_needs<float>(Index, const LanczosOptions&);
template Needs detail::lanczos_needs<double>(Index, const LanczosOptions&);
template EigenPairs<float> lanczos(LinearOperator<float>&, const LanczosOptions&);
template EigenPairs<double> lanczos(LinearOperator<double>&, const LanczosOptions&);

}  // namespace hso
