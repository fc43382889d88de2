#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: installed.sh PREFIX    What the installed tree must hold, what it must not, and that its program starts.
set -euo pipefail
cd "$1"
for pattern in bin/hso 'lib*/libhsogpu.a' 'lib*/libhsogpu.so' include/hsogpu/core/context.hpp include/hsogpu/version.hpp \
    'lib*/cmake/hsogpu/hsogpuConfig.cmake' 'lib*/pkgconfig/hsogpu.pc' 'share/doc/*/LICENSE' \
    share/man/man1/hso.1 share/man/man1/hso-train.1 share/bash-completion/completions/hso \
    share/zsh/site-functions/_hso; do
  compgen -G "$pattern" >/dev/null || { echo "missing: $pattern"; exit 1; }
done
[[ ! -e include/hsogpu/detail ]] || { echo "detail headers are installed"; exit 1; }
ldd bin/hso lib*/libhsogpu.so | grep 'not found' && { echo "unresolved libraries"; exit 1; }
bin/hso --help >/dev/null
