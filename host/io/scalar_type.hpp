// SPDX-License-Identifier: Apache-2.0
//
// The number types that files hold, and their conversion to double. 64-bit integers beyond 2^53 are rounded.
#pragma once

#include <string>

#include "hsogpu/core/types.hpp"

namespace hso {

struct ScalarType {
  enum class Kind { boolean, signed_integer, unsigned_integer, floating, brain_floating };
  Kind kind = Kind::floating;
  int bytes = 8;  ///< 1, 2, 4 or 8; floating: 2, 4 or 8; brain_floating: 2; boolean: 1

  bool integral() const { return kind <= Kind::unsigned_integer; }
};

/// As numpy calls it: "float64", "uint8", "bool"; "bfloat16".
std::string name_of(ScalarType type);

/// out[i] = the i-th number of `bytes`, which holds out.size() * type.bytes bytes.
void decode_scalars(ScalarType type, bool big_endian, Span<const char> bytes, Span<double> out);

/// IEEE binary16 (5 exponent bits) to double, exactly.
double half_to_double(unsigned bits);

}  // namespace hso
