#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: pkg_config.sh PREFIX MAIN WORK COMPILER [FLAGS]    Compiles and runs the consumer without CMake, linked
# dynamically and statically, with the flags that pkg-config gives.
set -euo pipefail
if ! command -v pkg-config >/dev/null; then
  echo "skipped: pkg-config is not installed"
  exit 77
fi
prefix=$1 main=$2 work=$3
compiler=("${@:4}")
libdir=$(dirname "$(compgen -G "$prefix/lib*/libhsogpu.a")")
export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra cflags < <(pkg-config --cflags hsogpu)
read -ra shared < <(pkg-config --libs hsogpu)
# The archive by name, since -lhsogpu would take the shared library beside it.
read -ra static < <(pkg-config --static --libs hsogpu | sed "s|-lhsogpu|$libdir/libhsogpu.a|")

"${compiler[@]}" -std=c++20 -O1 "${cflags[@]}" "$main" -o "$work/pc_shared" "${shared[@]}" "-Wl,-rpath,$libdir"
"${compiler[@]}" -std=c++20 -O1 "${cflags[@]}" "$main" -o "$work/pc_static" "${static[@]}"
ldd "$work/pc_static" | grep libhsogpu && { echo "pc_static links the shared library"; exit 1; }
"$work/pc_shared"
"$work/pc_static"
