#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: needed.sh HSO LIBRARY    cuBLAS and cuSOLVER are linked neither to the program nor to the shared library of a build
# with CUDA, and a training on the CPU does not load them.
set -euo pipefail
if ! command -v readelf >/dev/null; then
  echo "skipped: readelf is not installed"
  exit 77
fi
for file in "$@"; do
  needed=$(readelf -d "$file" | grep NEEDED)
  if grep -E 'lib(cublas|cusolver)' <<<"$needed"; then
    echo "$file is linked to them"
    exit 1
  fi
done
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
LD_DEBUG=files LD_DEBUG_OUTPUT=$folder/loader "$1" train --device cpu --steps 1 --quiet --out "$folder/run"
grep -q libopenblas "$folder"/loader.* || { echo "the loader of this system does not say what it loads"; exit 77; }
if grep -E 'lib(cublas|cusolver)' "$folder"/loader.*; then
  echo "a training on the CPU loads them"
  exit 1
fi
