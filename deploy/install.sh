# shellcheck shell=bash
# Sourced by deploy/demo.sh and tests/run.sh: installs Debian packages that are missing.

# install_packages PACKAGE...: as root or with sudo; otherwise says what to install and ends with 2. Servers among
# them are not started: whoever needs one starts a private one.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo --non-interactive true 2>/dev/null; then
      echo "Please install these packages first: apt-get install ${missing[*]}" >&2
      exit 2
    fi
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -qq
  # Debian's packages ask this program whether they may start their service; 101 is no.
  local policy=/usr/sbin/policy-rc.d own_policy='' status=0
  if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null || status=$?
  [ -z "$own_policy" ] || "${as_root[@]}" rm "$policy"
  return "$status"
}

# require_rust: ends with 2 when there is no cargo.
require_rust() {
  command -v cargo >/dev/null || {
    echo "Rust is missing: install it with rustup (https://rustup.rs), 1.95 or newer" >&2
    exit 2
  }
}
