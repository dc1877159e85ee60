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

arguments=(--tag "$image" --file kubeflow/Dockerfile)
if [[ -n ${BASE_IMAGE:-} ]]; then
  arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
fi
# Split as the shell would: BUILD_ARGS are several.
# shellcheck disable=SC2206
arguments+=(${BUILD_ARGS:-})
"$engine" build "${arguments[@]}" .
if [[ -n ${OUT:-} ]]; then
  "$engine" save --output "$OUT" "$image"
  echo "$image is in $OUT"
fi
