// SPDX-License-Identifier: Apache-2.0
//
// The header of a .npy file: a Python dictionary such as
//   {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <string>
#include <string_view>

#include "hsogpu/core/types.hpp"
#include "io/scalar_type.hpp"

namespace hso {

struct NpyHeader {
  ScalarType type;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
};

/// InputError, starting with `path`, when the text is no such dictionary or holds a type that is not supported.
NpyHeader parse_npy_header(const std::string& path, std::string_view text);

}  // namespace hso
