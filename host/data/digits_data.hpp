// SPDX-License-Identifier: Apache-2.0
//
// The embedded digits, packed by embed_digits.py: one row a digit, 64 pixels, its class and a zero, three numbers
// below 17 in two printable characters (base 71).
#pragma once

namespace hso {

inline constexpr int kDigitCount = 1797;
inline constexpr int kDigitRowLength = 44;

extern const char kDigitRows[kDigitCount][kDigitRowLength + 1];

}  // namespace hso
