#!/usr/bin/env bash
# Make a Debian 13 in .tools/debian13, or run a command on this project in it: debian13.sh make test
set -euo pipefail
cd "${0%/*}/.."

root=$PWD/.tools/debian13
without="(where glibc is 2.39 or newer, STACK=tfx121 make test does without)."

fail() {
  echo "make test-tfx121: $1" >&2
  exit 1
}

# Print the first place that this machine's apt takes packages of Debian from.
mirror_of_debian() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1 || true
}

make_root() {
  local mirror log=.tools/debian13.log
  [[ $(id -u) == 0 ]] || fail "needs root, to change into a Debian 13 $without"
  [[ ! -e $root/.made ]] || return 0
  command -v apt-get >/dev/null || fail "needs Debian's apt-get and debootstrap $without"
  mkdir -p .tools
  command -v debootstrap >/dev/null ||
    { apt-get update && apt-get install --yes debootstrap; } >"$log" 2>&1 </dev/null ||
    fail "the package debootstrap cannot be installed; $log says why."
  mirror=$(mirror_of_debian)
  if [[ -z $mirror ]]; then
    apt-get update >"$log" 2>&1 </dev/null || true
    mirror=$(mirror_of_debian)
  fi
  [[ -n $mirror ]] || fail "apt's sources name no mirror of Debian."
  echo "Making a Debian 13 in .tools/debian13"
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates,g++,git,make,python3-dev,python3-venv \
    trixie "$root" "$mirror" >"$log" 2>&1 </dev/null ||
    fail "debootstrap failed; $log says why."
  mkdir -p "$root/project" "$root"/state/{venv,tools,build}
  touch "$root/.made"
}

# The machine's way to the network: its resolver, its certificates, its pip.
share() {
  local file
  for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt "${SSL_CERT_FILE:-}"; do
    if [[ -f $file ]]; then
      mkdir -p "$root${file%/*}"
      cp --dereference "$file" "$root$file"
    fi
  done
}

# In a mount namespace, so that nothing stays mounted however the command ends.
run() {
  mkdir -p .venv .tools build
  unshare --mount bash -s "$root" "$@" <<'INNER'
set -euo pipefail
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind . "$root/project"
# What is made here belongs to this machine's stack.
mount --bind "$root/state/venv" "$root/project/.venv"
mount --bind "$root/state/build" "$root/project/build"
mount --bind "$root/state/tools" "$root/project/.tools"
exec env -u VIRTUAL_ENV UV_LINK_MODE=copy HOME=/root TMPDIR=/tmp PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  chroot "$root" bash -c 'cd /project && exec "$@"' bash "$@" </dev/null
INNER
}

make_root
if (($# > 0)); then
  share
  run "$@"
fi
