// SPDX-License-Identifier: Apache-2.0
#include "train/mask_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "train/saved_run.hpp"

namespace hso {

void write_mask(const std::string& path, const Mask& mask, const std::vector<ParameterInfo>& parameters) {
  const std::vector<double> numbers(mask.kept.begin(), mask.kept.end());
  std::vector<NamedTensor> tensors;
  for (const ParameterInfo& p : parameters)
    tensors.push_back({p.name, p.shape,
                       Span<const double>(numbers).subspan(static_cast<std::size_t>(p.offset),
                                                           static_cast<std::size_t>(p.shape.size())),
                       "U8"});
  write_safetensors(path, tensors, "float32");
}

Mask read_mask(const std::string& path, const std::vector<ParameterInfo>& parameters) {
  const SafeTensors file = read_safetensors(path);
  const std::vector<double> numbers = tensors_of(file, path, parameters);
  for (const auto& [name, tensor] : file.tensors)
    for (const double value : tensor.values)
      if (value != 0 && value != 1)
        throw InputError(fmt::format("{}: tensor {} of the mask has the value {}, expected 0 or 1", path, name, value));
  return {std::vector<std::uint8_t>(numbers.begin(), numbers.end())};
}

void require_removed_zero(const std::string& where, const Mask& mask, Span<const double> theta,
                          const std::vector<ParameterInfo>& parameters) {
  for (const ParameterInfo& p : parameters)
    for (Index i = 0; i < p.shape.size(); ++i) {
      const auto at = static_cast<std::size_t>(p.offset + i);
      if (mask.kept[at] == 0 && theta[at] != 0)
        throw InputError(
            fmt::format("{}: tensor {} has {} at {}, which its mask removes; expected 0", where, p.name, theta[at], i));
    }
}

}  // namespace hso
