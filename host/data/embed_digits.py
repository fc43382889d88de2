#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes digits_data.cpp from scikit-learn's digits.csv.gz (Debian: python3-sklearn).

Run once; the result is committed:

    python3 embed_digits.py /usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz > digits_data.cpp

One row a digit: its 64 pixels (0..16), its class and a zero are 66 numbers below 17, taken three at a time as
a * 289 + b * 17 + c and written as two digits of base 71 in printable characters that need no escape.
"""
import csv
import gzip
import sys

BASE = 71
ALPHABET = [chr(c) for c in range(ord("#"), ord("~") + 1) if chr(c) not in "?\\"]

HEAD = """// SPDX-License-Identifier: Apache-2.0
//
// Written by embed_digits.py from the UCI data set "Optical Recognition of Handwritten Digits" (test part),
// E. Alpaydin and C. Kaynak, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0. Do not edit.
#include "data/digits_data.hpp"

namespace hso {

// clang-format off
const char kDigitRows[kDigitCount][kDigitRowLength + 1] = {"""
TAIL = """};
// clang-format on

}  // namespace hso"""


def encode(row):
    numbers = row + [0]
    out = []
    for a, b, c in zip(numbers[0::3], numbers[1::3], numbers[2::3]):
        high, low = divmod(a * 289 + b * 17 + c, BASE)
        out += [ALPHABET[high], ALPHABET[low]]
    return "".join(out)


def read(path):
    with gzip.open(path, "rt", newline="") as f:
        rows = [[int(float(field)) for field in line] for line in csv.reader(f)]
    if any(len(r) != 65 or not all(0 <= p <= 16 for p in r[:64]) or not 0 <= r[64] <= 9 for r in rows):
        sys.exit(f"{path}: expected 64 pixels in 0..16 and a class in 0..9 on every line")
    return rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(HEAD)
    for row in read(sys.argv[1]):
        print(f'"{encode(row)}",')
    print(TAIL)


if __name__ == "__main__":
    main()
