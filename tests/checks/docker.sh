#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: docker.sh FOLDER    Lints docker/ with hadolint and compose-lint, from FOLDER (quickstart test puts them there)
# or from the PATH.
set -euo pipefail
PATH=$1:$PATH
for tool in hadolint compose-lint; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: $tool is not installed (pip install -r tests/checks/lint-requirements.txt)"
    exit 77
  fi
done
hadolint --config docker/hadolint.yaml docker/Dockerfile
compose-lint check --config docker/compose-lint.yml docker/compose.yaml
