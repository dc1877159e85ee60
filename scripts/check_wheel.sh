#!/usr/bin/env bash
# Build the wheel, look into it, and use it in a new environment from an empty directory.
set -euo pipefail
cd "${0%/*}/.."

uv=$(bash scripts/uv.sh)
project=$PWD

# Under build/, since packages are hard-linked from uv's cache and /tmp may be another file system.
mkdir -p build
work=$(mktemp -d "$project/build/wheel-check.XXXXXX")
trap 'rm -rf "$work"' EXIT

# From a copy: setuptools leaves build/lib behind, and old files there would get into the wheel.
mkdir "$work/source" "$work/dist" "$work/empty"
for entry in setup.py pyproject.toml MANIFEST.in README.md LICENSE components pipelines kubeflow; do
  if [[ -e $entry ]]; then
    cp -r "$entry" "$work/source/"
  fi
done
echo "Building"
if ! .venv/bin/python -m build --no-isolation --outdir "$work/dist" "$work/source" >"$work/build.log" 2>&1; then
  cat "$work/build.log"
  exit 1
fi
wheel=$(echo "$work"/dist/*.whl)

.venv/bin/python scripts/check_wheel.py "$wheel" "$work/source"

echo "Installing into a new environment"
"$uv" venv --quiet --seed --python .venv/bin/python "$work/venv"
"$uv" pip install --quiet --python "$work/venv/bin/python" \
  --build-constraints .venv/stack-constraints.in -r .venv/stack.lock
"$uv" pip install --quiet --python "$work/venv/bin/python" --no-deps "$wheel"
"$uv" pip check --quiet --python "$work/venv/bin/python"

echo "Using it from an empty directory"
cd "$work/empty"
export TF_CPP_MIN_LOG_LEVEL=3
unset PYTHONPATH
WORK=$work "$work/venv/bin/python" - <<'PY'
import os
from pathlib import Path

import tfx_shrink
from tfx_shrink import BucketPusher, Pruner, Quantizer

home = Path(os.environ["WORK"], "venv").resolve()
assert home in Path(tfx_shrink.__file__).resolve().parents, tfx_shrink.__file__
found = {component.__name__ for component in (BucketPusher, Pruner, Quantizer)}
assert found == {"BucketPusher", "Pruner", "Quantizer"}
PY
"$work/venv/bin/tfx-shrink" --help >/dev/null
version=${wheel##*/tfx_shrink-}
version=${version%%-*}
printed=$("$work/venv/bin/tfx-shrink" --version)
if [[ $printed != *"$version"* ]]; then
  echo "tfx-shrink --version must name $version. It printed: $printed" >&2
  exit 1
fi
echo "OK: ${wheel##*/}"
