#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every tracked C++ and CUDA file is as clang-format 14 writes it; other versions write it differently.
set -euo pipefail
if ! command -v clang-format >/dev/null || ! clang-format --version | grep -q 'version 14\.'; then
  echo "skipped: clang-format 14 is not installed"
  exit 77
fi
sources=('*.cpp' '*.hpp' '*.cu' '*.cuh')
mapfile -t files < <(git ls-files --deduplicate -- "${sources[@]}" 2>/dev/null)
if [[ ${#files[@]} == 0 ]]; then
  echo "skipped: not a git checkout"
  exit 77
fi
wrong=$(clang-format --dry-run "${files[@]}" 2>&1 | sed -n 's/^\([^:]*\):\([0-9]*\):.*clang-formatted.*/\1:\2/p' | uniq)
if [[ -n $wrong ]]; then
  printf 'not formatted (run clang-format -i):\n%s\n' "$wrong"
  exit 1
fi
echo "${#files[@]} files are formatted"
