#!/usr/bin/env bash
# Make .venv: Python 3.10, the lock, and this project in editable mode.
set -euo pipefail
cd "${0%/*}/.."

uv=$(bash scripts/uv.sh)
python=.venv/bin/python

if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; then
  rm -rf .venv
  # TFX packs module files with pip, so the environment needs one: --seed.
  # Some releases of uv stop at a broken python3.10 in PATH; then let it fetch its own.
  "$uv" venv --seed --python 3.10 .venv ||
    "$uv" venv --seed --python 3.10 --python-preference only-managed .venv || {
    echo "make setup: Python 3.10 was neither found nor fetched; install it and try again." >&2
    exit 1
  }
fi

# pyfarmhash has no wheel. Where no compiler is installed, one comes as a package.
if ! command -v c++ >/dev/null && ! command -v g++ >/dev/null; then
  if [[ ! -x .tools/zig/c++ ]]; then
    echo "No C++ compiler found; fetching one (ziglang) into .tools/zig" >&2
    "$uv" venv --quiet --python "$python" .tools/zig
    "$uv" pip install --quiet --python .tools/zig ziglang==0.17.1
    printf '#!/bin/sh\nexec "%s/.tools/zig/bin/python" -m ziglang c++ "$@"\n' "$PWD" >.tools/zig/c++
    chmod +x .tools/zig/c++
  fi
  export CC="$PWD/.tools/zig/c++" CXX="$PWD/.tools/zig/c++"
fi

# Source packages (kfp, dill, pyfarmhash) are built with the setuptools that the lock names.
"$uv" pip install --python "$python" --compile-bytecode \
  --build-constraints requirements/constraints.in -r requirements/py310.lock
"$uv" pip install --python "$python" --no-deps --no-build-isolation -e .
"$uv" pip check --python "$python"
