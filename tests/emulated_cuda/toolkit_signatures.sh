#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every name of CUDA that the headers of the emulated device declare stands in toolkit_signatures.cpp. The versions do
# not: the toolkit's own may be another.
set -euo pipefail
cd "$(dirname "$0")"
names() { sed 's|//.*||' "$@" | grep -oE '\b(cu(da|blas|solver)[A-Z_]|CU(DA|BLAS|SOLVER)_|(MAJOR|MINOR)_VERSION|PATCH_LEVEL)[A-Za-z0-9_]*' | sort -u; }
declared=$(names include/*.h | grep -vE '^CU(BLAS|SOLVER)_VER|^CUDA_ARCH|_v2(_64)?$')
missing=$(comm -23 <(echo "$declared") <(names toolkit_signatures.cpp))
if [[ -n $missing ]]; then
  printf 'not compared with the toolkit: add to toolkit_signatures.cpp:\n%s\n' "$missing"
  exit 1
fi
echo "$(wc -l <<< "$declared") names are compared with the toolkit"
