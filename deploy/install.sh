# shellcheck shell=bash
# Sourced by deploy/demo.sh and tests/run.sh: says which Debian packages are needed and why, and installs those that
# are missing.
#
#   need "compiles the programs" gcc libc6-dev
#   need "reads snapshots" sqlite3
#   install_needed

# What a service's package asks whether it may start: 101 is no.
policy_file=/usr/sbin/policy-rc.d
# Tells a file that this script left behind, when it was killed, from one that the machine's owner made.
policy_mark='# Made by Seedbed while it installs packages. Remove it if no such script runs.'

# Packages that are needed and not installed, with the reasons to show.
missing_packages=()
missing_reasons=()

# need REASON PACKAGE...: notes what is missing of these packages.
need() {
  local reason=$1 package missing=()
  shift
  for package in "$@"; do
    is_installed "$package" || [[ " ${missing_packages[*]-} " == *" $package "* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  missing_packages+=("${missing[@]}")
  missing_reasons+=("$(printf '  %-28s %s' "$reason" "${missing[*]}")")
}

is_installed() {
  local status
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) && [ "$status" = installed ]
}

# install_needed: installs what `need` found missing, as root or with sudo; otherwise says what to install and ends
# with 2. Servers among the packages are not started: a test starts its own, on a port of its own.
install_needed() {
  [ ${#missing_packages[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo --non-interactive true 2>/dev/null; then
      {
        echo "These Debian packages are missing:"
        printf '%s\n' "${missing_reasons[@]}"
        echo "Please install them and call this again: sudo apt-get install ${missing_packages[*]}"
      } >&2
      exit 2
    fi
    as_root=(sudo)
  fi
  {
    echo "Installing these Debian packages:"
    printf '%s\n' "${missing_reasons[@]}"
  } >&2
  local log status=0
  log=$(mktemp)
  install_quietly >&2 2>"$log" || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    echo "apt-get could not install ${missing_packages[*]}: see above" >&2
  fi
  rm -f "$log"
  [ "$status" -eq 0 ] || exit "$status"
  missing_packages=()
  missing_reasons=()
}

# Shows progress on stdout; all that apt says goes to stderr. A subshell, so that its traps are its own: whatever ends
# it, the policy file goes.
install_quietly() (
  set -o pipefail
  "${as_root[@]}" apt-get update -qq || exit
  if [ ! -e "$policy_file" ] || grep -qxF "$policy_mark" "$policy_file"; then
    trap '"${as_root[@]}" rm -f "$policy_file"' EXIT
    # apt-get gets the terminal's Ctrl-C too, and ends in its own time; the shell waits for it.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | "${as_root[@]}" install -m 755 /dev/stdin "$policy_file" ||
      exit
  fi
  # apt reports its progress on descriptor 3 and keeps that from what it starts, so it cannot be stdout; sudo closes all
  # but the first three, so a shell opens it.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes sh -c '
    exec 3>&1 >&2
    exec apt-get install -y -q --no-install-recommends -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 "$@"
  ' sh "${missing_packages[@]}" | show_progress
)

# Reads apt's lines `dlstatus:ITEM:PERCENT:TEXT` and `pmstatus:…`, and shows every tenth percent.
show_progress() {
  local line step shown=''
  while IFS= read -r line; do
    [[ $line =~ ^(dl|pm)status:[^\ ]*:([0-9]+)[.,0-9]*: ]] || continue
    step=downloading
    [ "${BASH_REMATCH[1]}" = dl ] || step=installing
    step="$step, $((BASH_REMATCH[2] / 10))0 %"
    [ "$step" != "$shown" ] || continue
    shown=$step
    echo "  $step"
  done
}

# require_rust: ends with 2 when there is no cargo, or one that is too old.
require_rust() {
  local wanted=1.95 found
  command -v cargo >/dev/null || {
    echo "Rust is missing: install it with rustup (https://rustup.rs), $wanted or newer" >&2
    exit 2
  }
  found=$(cargo --version | cut -d ' ' -f 2)
  if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | sed -n 1p)" != "$wanted" ]; then
    echo "Rust $found is too old: $wanted or newer is needed (rustup update stable)" >&2
    exit 2
  fi
}
