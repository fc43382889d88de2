#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: docker.sh FOLDER    Lints docker/ with hadolint, compose-lint and the schema of compose files, with
# the tools in FOLDER (quickstart test puts them there) or on the PATH.
set -euo pipefail
PATH=$1:$PATH
for tool in hadolint compose-lint check-jsonschema; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: $tool is not installed (pip install -r tests/checks/lint-requirements.txt)"
    exit 77
  fi
done
hadolint --config docker/hadolint.yaml docker/Dockerfile
compose-lint check --no-env docker/compose.yaml
check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
