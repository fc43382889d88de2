#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: readme.sh SOURCE_TREE
# The C++ examples of the README are, letter for letter, the programs that the install tests build and run.
set -euo pipefail
awk '/^```cpp$/ {on = 1; next} /^```$/ {on = 0} on' "$1/README.md" | diff - <(cat "$1/tests/consumer/main.cpp" "$1/tests/consumer/fit.cpp")
