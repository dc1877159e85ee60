#!/usr/bin/env bash
# Build the image that compiled pipelines run in: IMAGE=name:tag BASE_IMAGE=… BUILD_ARGS=… OUT=FILE.tar
set -euo pipefail
cd "${0%/*}/.."

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' components/version.py)
image=${IMAGE:-tfx-shrink:$version}
engine=$(command -v podman || command -v docker) || {
  echo "make image: neither podman nor docker was found; install one." >&2
  exit 1
}

# What this stack compiles runs in an image of the same stack.
stack=${STACK:-}
if [[ -z $stack && -e .venv/.setup-done-tfx121 ]]; then
  stack=tfx121
fi
base=${BASE_IMAGE:-}
if [[ -z $base && $stack == tfx121 ]]; then
  base=python:3.13-slim-trixie
fi

arguments=(--tag "$image" --file kubeflow/Dockerfile)
if [[ -n $base ]]; then
  arguments+=(--build-arg "BASE_IMAGE=$base")
fi
# Split as the shell would: BUILD_ARGS are several.
# shellcheck disable=SC2206
arguments+=(${BUILD_ARGS:-})
"$engine" build "${arguments[@]}" .
if [[ -n ${OUT:-} ]]; then
  "$engine" save --output "$OUT" "$image"
  echo "$image is in $OUT"
fi
