#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The project's scripts pass shellcheck, and quickstart answers misuse with exit code 2.
set -euo pipefail
./quickstart --help | grep -q './quickstart train' || { echo "quickstart --help does not explain train"; exit 1; }
for arguments in "" "no-such-command" "build stray"; do
  code=0
  # shellcheck disable=SC2086  # an empty string is meant to be no argument
  ./quickstart $arguments >/dev/null 2>&1 || code=$?
  [[ $code == 2 ]] || { echo "quickstart $arguments: exit code $code, expected 2"; exit 1; }
done
if ! command -v shellcheck >/dev/null; then
  echo "skipped: shellcheck is not installed"
  exit 77
fi
shellcheck quickstart .ci/run tests/checks/*.sh
