#!/usr/bin/env bash
# Make .venv: the newest stack that runs here, or the one that STACK names, and this project in editable mode.
set -euo pipefail
cd "${0%/*}/.."

fail() {
  echo "make setup: $1" >&2
  exit 1
}

# Print the path of a Python that TFX 1.21 takes. A shim in PATH need not run, so each is tried.
newer_python() {
  local candidate
  if command -v pyenv >/dev/null; then
    # Else .python-version hides all but one.
    PYENV_VERSION=$(pyenv versions --bare 2>/dev/null | paste -sd:)
    export PYENV_VERSION
  fi
  while read -r candidate; do
    "$candidate" 2>/dev/null </dev/null -c '
import os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13): sys.exit(1)
print(os.path.realpath(sys.executable))' && return
  done < <(type -ap python3.13 python3.12 python3.11 python3)
  return 1
}

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || echo "glibc 0")
glibc=${glibc#glibc }
newer=$(newer_python || true)
lacks=""
if [[ $(printf '%s\n' 2.39 "$glibc" | sort -V | head -n 1) != 2.39 ]]; then
  lacks="TFX 1.21 needs glibc 2.39 or newer, and this machine has $glibc"
elif [[ -z $newer ]]; then
  lacks="TFX 1.21 needs Python 3.11, 3.12 or 3.13, and none was found"
fi

stack=${STACK:-}
why="STACK asks for it"
if [[ -z $stack ]]; then
  stack=tfx121
  why="glibc $glibc and ${newer##*/} allow it"
  if [[ -n $lacks ]]; then
    stack=tfx116
    why=$lacks
  fi
fi
case $stack in
  tfx116)
    python=3.10 version=3.10 lock=py310.lock constraints=constraints.in
    echo "TFX 1.16 on Python 3.10: $why."
    ;;
  tfx121)
    [[ -z $lacks ]] || fail "$lacks; STACK=tfx116 does without."
    python=$newer lock=tfx121.lock constraints=tfx121-constraints.in
    version=$("$newer" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "TFX 1.21 on Python $version: $why."
    "$newer" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
      fail "the headers of $newer are missing; install python$version-dev, or take STACK=tfx116."
    ;;
  *) fail "STACK must be tfx116 or tfx121. Received: STACK=$stack." ;;
esac

uv=$(bash scripts/uv.sh)
inner=.venv/bin/python

if [[ $("$inner" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) != "$version" ]]; then
  # What it holds, and no more: it may be a mount.
  mkdir -p .venv
  find .venv -mindepth 1 -delete
  # TFX packs module files with pip, so the environment needs one: --seed.
  # Some releases of uv stop at a broken python3.10 in PATH; then let it fetch its own.
  "$uv" venv --allow-existing --seed --python "$python" .venv ||
    "$uv" venv --allow-existing --seed --python "$version" --python-preference only-managed .venv ||
    fail "Python $version was neither found nor fetched; install it and try again."
fi
rm -f .venv/.setup-done*

# pyfarmhash has no wheel. Where no compiler is installed, one comes as a package.
if ! command -v c++ >/dev/null && ! command -v g++ >/dev/null; then
  if [[ ! -x .tools/zig/c++ ]]; then
    echo "No C++ compiler found; fetching one (ziglang) into .tools/zig" >&2
    "$uv" venv --quiet --python "$inner" .tools/zig
    "$uv" pip install --quiet --python .tools/zig ziglang==0.17.1
    printf '#!/bin/sh\nexec "%s/.tools/zig/bin/python" -m ziglang c++ "$@"\n' "$PWD" >.tools/zig/c++
    chmod +x .tools/zig/c++
  fi
  export CC="$PWD/.tools/zig/c++" CXX="$PWD/.tools/zig/c++"
fi

# Source packages (dill, kfp, pyfarmhash) are built with the setuptools that the lock names.
"$uv" pip install --python "$inner" --compile-bytecode \
  --build-constraints "requirements/$constraints" -r "requirements/$lock"
"$uv" pip install --python "$inner" --no-deps --no-build-isolation -e .
"$uv" pip check --python "$inner"

# For `make wheel-check`, which makes another environment of this stack.
ln -sfn "$PWD/requirements/$lock" .venv/stack.lock
ln -sfn "$PWD/requirements/$constraints" .venv/stack-constraints.in
touch .venv/.setup-done ".venv/.setup-done-$stack"
