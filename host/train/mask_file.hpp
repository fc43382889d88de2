// SPDX-License-Identifier: Apache-2.0
//
// mask.safetensors: one U8 tensor for each parameter, with its name and shape; 1 kept, 0 removed.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/graph/model.hpp"
#include "hsogpu/objective/mask.hpp"

namespace hso {

void write_mask(const std::string& path, const Mask& mask, const std::vector<ParameterInfo>& parameters);

/// InputError names the tensor that is missing, has another shape, is none of the model's, or holds anything but 0 and
/// 1.
Mask read_mask(const std::string& path, const std::vector<ParameterInfo>& parameters);

/// InputError "<where>: ..." names the tensor with a removed parameter that is not 0, its place and the value.
void require_removed_zero(const std::string& where, const Mask& mask, Span<const double> theta,
                          const std::vector<ParameterInfo>& parameters);

}  // namespace hso
