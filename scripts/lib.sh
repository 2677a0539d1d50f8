# Shared by the scripts: finds a Python, makes .venv from the lock, installs this checkout into it. Source it.
# shellcheck shell=bash
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

say() { printf '%s\n' "-- $*" >&2; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

# Install Debian packages where that is possible; says what is missing where it is not.
apt_install() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: $* (not root, or no apt-get): what needs them is skipped and counted"
    return 1
  fi
  say "installing $*"
  [ -n "${APT_UPDATED:-}" ] || apt-get update -qq </dev/null >&2 || true
  APT_UPDATED=1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# A Python that can make a .venv and compile for it. The system's own goes first: its distribution mends it, and it is
# mostly the faster build (on Debian 12 a sixth less time a statement than one built with --enable-shared alone).
find_python() {
  local path name found need
  local whole='import ensurepip, os, sys, sysconfig
sys.exit(sys.version_info < (3, 11) or not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
  local any='import sys; sys.exit(sys.version_info < (3, 11))'
  for need in "$whole" "$any"; do
    for path in "/usr/bin:$PATH" "$PATH"; do
      for name in python3.11 python3.12 python3.13 python3; do
        found="$(PATH="$path" command -v "$name")" && "$found" -c "$need" 2>/dev/null || continue
        printf '%s\n' "$found"
        return 0
      done
    done
  done
  return 1
}

make_venv() {
  [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return 0
  find_python >/dev/null || apt_install python3 python3-venv || true
  local python
  python="$(find_python)" || die "Python 3.11 or newer is needed (Debian 12, Ubuntu 24.04 or newer: apt install python3 python3-venv)"
  rm -rf "$VENV"
  if ! "$python" -m venv "$VENV" 2>/dev/null; then
    rm -rf "$VENV"
    apt_install python3-venv || die "python3-venv is needed: apt install python3-venv"
    "$python" -m venv "$VENV"
  fi
}

# A digest of what is installed: the same digest, nothing to do.
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

# install_locked LOCK: every dependency at its pinned version, with its hash.
install_locked() {
  local stamp="$VENV/.locked" now
  now="$(digest "$1")"
  [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && return 0
  say "installing dependencies of $(basename "$1")"
  "$VENV/bin/python" -m pip install -q --require-hashes -r "$1" </dev/null
  printf '%s' "$now" >"$stamp"
}

# A digest of what would be installed of this checkout.
checkout_digest() {
  (cd "$ROOT" && find src setup.py pyproject.toml -type f ! -name '*.pyc' ! -path '*.egg-info/*' -print0 | sort -z |
    xargs -0 sha256sum | sha256sum)
}

# Install this checkout, compiled where a C compiler is, unless it is installed as it stands.
install_checkout() {
  local stamp="$VENV/.checkout" now
  now="$(checkout_digest)${CHECKREIN_PURE:-}"
  [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && return 0
  say "building and installing this checkout"
  rm -rf "$ROOT/build"
  (cd "$ROOT" && "$VENV/bin/python" -m pip install -q --force-reinstall --no-deps --no-build-isolation . </dev/null)
  rm -rf "$ROOT/build"
  printf '%s' "$now" >"$stamp"
}

# prepare LOCK: from a bare machine to a .venv that runs this checkout.
prepare() {
  command -v cc >/dev/null || apt_install gcc libc6-dev python3-dev || true
  make_venv
  install_locked "$1"
  install_checkout
  "$VENV/bin/checkrein" version >&2
}

# prepare_pure: the quick way, for trying things: run-time dependencies only, nothing compiled. What prepare made is kept.
prepare_pure() {
  make_venv
  local locked installed now
  locked="$(cat "$VENV/.locked" 2>/dev/null || true)"
  [ -n "$locked" ] && [ "$locked" = "$(digest "$ROOT/requirements/dev.lock")" ] || install_locked "$ROOT/requirements/all.lock"
  installed="$(cat "$VENV/.checkout" 2>/dev/null || true)"
  now="$(checkout_digest)"
  [ "$installed" = "$now" ] || [ "$installed" = "${now}1" ] && return 0
  install_build_tool
  CHECKREIN_PURE=1 install_checkout
}

# The one package that building a pure wheel needs, at its pinned version.
install_build_tool() {
  local list="$VENV/.build-tool"
  awk '/^[a-z]/ { on = /^setuptools==/ } on' "$ROOT/requirements/dev.lock" >"$list"
  "$VENV/bin/python" -m pip install -q --require-hashes -r "$list" </dev/null
}
