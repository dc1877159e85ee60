#!/usr/bin/env bash
# Print the path of a uv that works; fetch one into .tools/uv where there is none.
set -euo pipefail
cd "${0%/*}/.."

UV_VERSION=0.13.9

works() { "$@" >/dev/null 2>&1 </dev/null; }

fail() {
  echo "make setup: $1" >&2
  exit 1
}

# A pyenv shim may be in PATH and still not run, so every candidate is tried.
for uv in uv "$PWD/.tools/uv/bin/uv"; do
  if works "$uv" --version; then
    command -v "$uv"
    exit
  fi
done

runs=""
python=""
while read -r candidate; do
  if works "$candidate" --version; then
    runs=$candidate
    if works "$candidate" -c 'import venv, ensurepip'; then
      python=$candidate
      break
    fi
  fi
done < <(type -ap python3)

[[ -n $runs ]] || fail "python3 was not found; install the package python3 (and python3-venv on Debian and Ubuntu)."
[[ -n $python ]] || fail "$runs cannot make environments; install the package python3-venv."

echo "Fetching uv $UV_VERSION into .tools/uv" >&2
rm -rf .tools/uv
"$python" -m venv .tools/uv >&2
.tools/uv/bin/pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" >&2
echo "$PWD/.tools/uv/bin/uv"
